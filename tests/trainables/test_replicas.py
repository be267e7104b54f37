from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.trainables.builders import trial
from trainables.datasets import Digits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.errors import NonFiniteError
from trainables.methods import METHODS
from trainables.replicas import Replica, start_replicas, train_replicas

# The plain method and the most complex one stand for all where time is short.
WITH_EXTENDED_METHODS = [
    pytest.param(name, marks=[] if name in {"base", "challenger"} else pytest.mark.extended)
    for name in METHODS
]

CPU = torch.device("cpu")


def weights(replica: Replica) -> dict[str, torch.Tensor]:
    return replica.state.model.state_dict()


@pytest.mark.parametrize("name", WITH_EXTENDED_METHODS)
def test_replicas_in_lock_step_are_each_as_if_trained_alone(name, folders):
    config = trial(name)
    config = replace(config, dataset=replace(config.dataset, subset="per_replica"), seeds=(3, 1))
    together = start_replicas(config, folders, CPU)
    reports = [report for report in train_replicas(config, together) if report]
    for i, seed in enumerate((3, 1)):
        one = replace(config, seeds=(seed,))
        (alone,) = start_replicas(one, folders, CPU)
        expected = [report for report in train_replicas(one, [alone]) if report]
        assert [r.epoch for r in reports] == [r.epoch for r in expected]
        for report, single in zip(reports, expected, strict=True):
            assert {k: v[i : i + 1] for k, v in report.metrics.items()} == single.metrics
        assert all(torch.equal(v, weights(together[i])[k]) for k, v in weights(alone).items())
    key = "features.0.weight"
    assert not torch.equal(weights(together[0])[key], weights(together[1])[key])


def test_a_report_comes_when_all_replicas_have_it(folders):
    config = trial(seeds=(1, 2, 3))
    found = list(train_replicas(config, start_replicas(config, folders, CPU)))
    assert [report and report.epoch for report in found] == [0, None, 2, None, 4, 5]
    assert all(len(v) == 3 for report in found if report for v in report.metrics.values())


def test_a_metric_that_is_not_finite_names_its_replica(folders):
    config = trial(seeds=(4, 7), is_final=True)
    first, second = start_replicas(config, folders, CPU)
    targets = torch.zeros_like(second.data.val.targets)
    val = replace(second.data.val, targets=targets)
    second = Replica(data=replace(second.data, val=val), state=second.state)
    with pytest.raises(NonFiniteError) as caught:
        list(train_replicas(config, [first, second]))
    assert str(caught.value) == (
        "val/auc is nan at epoch 2 of the replica with seed 7; parameters: {'name': 'base'}; it "
        "is not defined there: does a split lack a class?"
    )


def test_a_loss_that_is_not_finite_names_its_replica(folders):
    config = trial(seeds=(4, 7))
    first, second = start_replicas(config, folders, CPU)
    inputs = torch.full_like(second.data.train.inputs, math.nan)
    train = TensorSamples(inputs=inputs, targets=second.data.train.targets)
    second = replace(second, data=replace(second.data, train=train))
    with pytest.raises(NonFiniteError, match=r"step 1 \(epoch 1\) of the replica with seed 7;"):
        list(train_replicas(config, [first, second]))


def test_a_training_set_too_small_for_its_method_is_reported_once(folders, caplog):
    config = replace(
        trial("random"),
        dataset=Digits(train_per_class=None, train_size=3, val_size=20, test_size=20),
    )
    for batch_size in (8, 3):
        caplog.clear()
        training = replace(config.training, epochs=1, batch_size=batch_size)
        small = replace(config, training=training, seeds=(1,))
        list(train_replicas(small, start_replicas(small, folders, CPU)))
        message = (
            "method random has no effect: a split of 0.5 changes no sample of 3; it takes a "
            "batch of 4 or more, or a larger split."
        )
        assert caplog.messages == [message]
