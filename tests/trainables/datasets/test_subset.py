from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from trainables.datasets import DATASETS, DataFolders, Digits
from trainables.datasets.subset import SubsetSettings
from trainables.datasets.tensor_samples import TensorSamples
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Size


@record
class Sizes(Digits):
    """The settings of every single-label dataset."""

    name: ClassVar[str] = "sizes"
    train_per_class: Size | None = None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Sizes(train_per_class=3, train_size=30),
            "train_size must be left out beside train_per_class (set that to null), got 30.",
        ),
        (
            lambda: Sizes(val_size=100).check_sizes(100, 10, 10),
            "val_size must leave training samples of the 100 there are, got 100.",
        ),
        (
            lambda: Sizes(val_size=20, train_size=81).check_sizes(100, 500, 10),
            "train_size must not exceed the 80 samples beside the validation samples, got 81.",
        ),
        (
            lambda: Sizes(val_size=20, train_per_class=9).check_sizes(100, 500, 10),
            "train_per_class must not exceed the 8 samples per class that are left, got 9.",
        ),
        (
            lambda: Sizes(val_size=20, test_size=501).check_sizes(100, 500, 10),
            "test_size must not exceed the 500 test samples, got 501.",
        ),
    ],
)
def test_sizes_out_of_range_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_sizes_at_their_limits_are_accepted():
    Sizes(val_size=20, train_size=80, test_size=500).check_sizes(100, 500, 10)
    Sizes(val_size=20, train_per_class=8, test_size=None).check_sizes(100, 500, 10)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_published_data_alone_need_no_word_on_where_they_come_from(name, tmp_path):
    dataset = DATASETS[name]()
    if isinstance(dataset, SubsetSettings):
        folders = DataFolders(root=None, cache=tmp_path)
        assert dataset.provenance(folders) is None
    else:
        assert callable(dataset.provenance)


def unequal(counts: list[int]) -> TensorSamples:
    targets = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return TensorSamples(
        inputs=torch.arange(len(targets)).float().reshape(-1, 1, 1), targets=targets
    )


def test_more_samples_per_class_than_the_rarest_class_has_are_refused():
    """Unequal classes pass the check by size; drawing fewer in silence would be worse."""
    settings = Sizes(train_per_class=5, val_size=2, test_size=None)
    settings.check_sizes(24, 2, 2)
    with pytest.raises(ConfigError) as caught:
        settings.split(unequal([20, 4]), unequal([1, 1]), 0)
    assert str(caught.value) == (
        "train_per_class must not exceed the 4 samples left of the rarest class, got 5."
    )


def test_all_samples_train_if_no_number_is_given():
    settings = Sizes(val_size=4, test_size=None)
    splits = settings.split(unequal([10, 10]), unequal([3, 3]), 0)
    assert len(splits.train) == 16
    assert len(splits.test) == 6


def test_a_total_number_is_drawn_in_proportion():
    settings = Sizes(val_size=4, train_size=6, test_size=2)
    splits = settings.split(unequal([20, 10]), unequal([3, 3]), 0)
    assert torch.bincount(splits.train.targets).tolist() == [4, 2]
    assert torch.bincount(splits.test.targets).tolist() == [1, 1]


def test_the_names_are_those_of_the_settings():
    assert {name: kind.name for name, kind in DATASETS.items()} == {
        name: name for name in DATASETS
    }
