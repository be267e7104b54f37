"""Every dataset with every method that takes it, one epoch each, on real data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.trainables.builders import train
from trainables.batch import is_multi_label
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.datasets import DATASETS, DataFolders, Splits
from trainables.errors import ConfigError
from trainables.loop import ReplicaReport, init_replica
from trainables.methods import METHODS
from trainables.models import MODELS

CPU = torch.device("cpu")
SMALL: dict[str, dict[str, Any]] = {
    "cifar10": {"train_size": 24, "val_size": 20, "test_size": 20, "train_batches": 1},
    "digits": {"train_per_class": 2, "val_size": 20, "test_size": 20},
    "mnist": {"train_size": 24, "val_size": 20, "test_size": 20},
    "newsgroups20": {"train_size": 24, "val_size": 40, "test_size": 40, "length": 150},
    "ptbxl": {"train_size": 24},
    "reuters": {"train_size": 24, "val_size": 60, "test_size": 60, "length": 150},
}
MODEL = {"image": "vgg11", "text": "text_cnn", "series": "fcn_wang"}
PAIRS = [(dataset, method) for dataset in sorted(DATASETS) for method in sorted(METHODS)]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(scope="session")
def loaded(cache, request) -> Callable[[str], Splits]:
    """Load each dataset once."""
    found: dict[str, Splits] = {}

    def load(name: str) -> Splits:
        if name not in found:
            root = None if name == "digits" else request.getfixturevalue("challenger_data")
            settings = DATASETS[name](**SMALL[name])
            found[name] = settings.load(DataFolders(root=root, cache=cache), 0)
        return found[name]

    return load


def config_of(dataset: str, method: str) -> TrialConfig:
    settings = DATASETS[dataset](**SMALL[dataset])
    model = MODELS[MODEL[settings.info.domain]](width=1 / 16)
    start_from = FromBase(epochs=1) if method == "base_finetune" else Scratch()
    return TrialConfig(
        dataset=settings,
        model=model,
        method=METHODS[method](),
        training=TrainingConfig(epochs=1, batch_size=12, start_from=start_from),
        seeds=(1,),
        is_final=True,
    )


def test_every_dataset_is_here():
    assert sorted(SMALL) == sorted(DATASETS)


@pytest.mark.data
@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_splits_are_what_the_dataset_says_it_is(dataset, loaded):
    info, splits = DATASETS[dataset](**SMALL[dataset]).info, loaded(dataset)
    for samples in (splits.train, splits.val, splits.test):
        targets = samples.targets
        assert is_multi_label(targets) == info.is_multi_label
        classes = targets.shape[1] if info.is_multi_label else int(targets.max()) + 1
        assert classes == info.n_classes if info.is_multi_label else classes <= info.n_classes
        batch = samples.make_batch(torch.arange(3), torch.Generator().manual_seed(0))
        assert batch.inputs.shape == (3, *info.input_shape)
        assert batch.inputs.dtype == torch.float32
        assert batch.inputs.isfinite().all()
        views = samples.views(torch.arange(3))
        assert views.shape[1:] == (3, *info.input_shape)
        assert (batch.valid_mask is None) == (info.domain != "text")
    assert len(splits.train) == SMALL[dataset].get("train_size", 20)


@pytest.mark.data
@pytest.mark.parametrize(("dataset", "method"), PAIRS)
def test_one_epoch_ends_with_finite_metrics_or_is_refused_with_the_reason(dataset, method, loaded):
    try:
        config = config_of(dataset, method)
    except ConfigError as error:
        assert "works on images" in str(error)  # noqa: PT017 (a refusal is one of two outcomes)
        assert method in ("cutmix", "random_erasing")
        return
    data = loaded(dataset)
    reports = list(train(config, data, init_replica(config, config.dataset.info, 1, CPU)))
    assert [report.epoch for report in reports] == [0, 1]
    last: ReplicaReport = reports[-1]
    assert {"test/accuracy", "test/auc", "test/nll", "filter_cosine/mean"} <= set(last.metrics)
    assert all(math.isfinite(value) for value in last.metrics.values())
    assert last.metrics["test/auc_classes"] >= 2
