from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.trainables.builders import trial
from trainables.config import EvaluationConfig
from trainables.errors import ConfigError
from trainables.methods import Challenger
from trainables.optimizers import Adam, Sgd


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: EvaluationConfig(occlusion=(0.5, 0.25)),
            "occlusion must increase from share to share, got [0.5, 0.25].",
        ),
        (
            lambda: EvaluationConfig(occlusion=(0.5, 0.5)),
            "occlusion must increase from share to share, got [0.5, 0.5].",
        ),
        (
            lambda: trial(seeds=(1, 2, 1)),
            "seeds must differ from replica to replica, got [1, 2, 1].",
        ),
        (
            lambda: replace(trial(), method=Challenger(top_k=11)),
            "method.top_k must not exceed the 10 classes, got 11.",
        ),
        (
            lambda: replace(trial(), method=Challenger(n_features=785)),
            "method.n_features must not exceed the 784 input features, got 785.",
        ),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_the_optimizers_get_their_settings():
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    adam = Adam(lr=0.5, weight_decay=0.25).build(parameters)
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.defaults["lr"], adam.defaults["weight_decay"]) == (0.5, 0.25)
    sgd = Sgd(lr=0.5, momentum=0.25, weight_decay=0.125).build(parameters)
    assert isinstance(sgd, torch.optim.SGD)
    kept = [sgd.defaults[key] for key in ("lr", "momentum", "weight_decay")]
    assert kept == [0.5, 0.25, 0.125]


def test_the_hash_is_of_every_setting():
    config = trial("challenger")
    assert len(config.hash()) == 16
    assert config.hash() == trial("challenger").hash()
    others = [
        replace(config, seeds=(2, 1)),
        replace(config, is_final=True),
        replace(config, method=replace(config.method, alpha=0.25)),
        replace(config, model=replace(config.model, dropout=0.0)),
        replace(config, dataset=replace(config.dataset, subset_seed=1)),
        replace(config, training=replace(config.training, optimizer=Adam(lr=2e-3))),
        replace(config, training=replace(config.training, precision="bfloat16")),
        replace(config, evaluation=EvaluationConfig(bootstrap_resamples=1)),
    ]
    assert len({config.hash(), *(other.hash() for other in others)}) == 9
