from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

from tests.trainables.builders import message
from trainables.datasets import DataFolders, Mnist
from trainables.datasets.data_files import check_file
from trainables.datasets.mnist import read_digits
from trainables.errors import ConfigError, DataError

IMAGES = "t10k-images-idx3-ubyte.gz"
LABELS = "t10k-labels-idx1-ubyte.gz"
LABELS_MD5 = "ec29112dd5afa0611ce80d1b7f02629c"


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted((root / "mnist").rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def loaded(challenger_data, tmp_path_factory):
    """Load all of MNIST once, and keep what was in the data root before and after."""
    folders = DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("mnist"))
    before = contents(challenger_data)
    splits = Mnist().load(folders, 0)
    return folders, splits, before, contents(challenger_data)


@pytest.fixture
def copied(challenger_data, tmp_path) -> DataFolders:
    """Copy the files, so that they can be damaged."""
    source = challenger_data / "mnist" / "MNIST" / "raw"
    target = tmp_path / "root" / "mnist" / "MNIST" / "raw"
    target.mkdir(parents=True)
    for path in source.glob("*.gz"):
        target.joinpath(path.name).write_bytes(path.read_bytes())
    return DataFolders(root=tmp_path / "root", cache=tmp_path / "cache")


def labels_of(folders: DataFolders) -> Path:
    return folders.root / "mnist" / "MNIST" / "raw" / LABELS


@pytest.mark.data
def test_it_has_55000_5000_and_10000_samples(loaded):
    _, splits, _, _ = loaded
    assert splits.train.inputs.shape == (55_000, 1, 28, 28)
    assert splits.val.inputs.shape == (5_000, 1, 28, 28)
    assert splits.test.inputs.shape == (10_000, 1, 28, 28)
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    both = torch.cat([splits.train.targets, splits.val.targets])
    assert torch.bincount(both).tolist() == published
    of_test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.bincount(splits.test.targets).tolist() == of_test


@pytest.mark.data
def test_the_constants_are_the_moments_of_the_training_images(loaded):
    _, splits, _, _ = loaded
    both = torch.cat([splits.train.inputs, splits.val.inputs]).double()
    assert float(both.mean()) == pytest.approx(0, abs=3e-4)
    assert float(both.std()) == pytest.approx(1, abs=3e-4)
    assert float(both.min()) == pytest.approx(Mnist().info.background, abs=1e-6)


@pytest.mark.data
def test_it_is_what_the_files_say(loaded):
    folders, splits, _, _ = loaded
    raw = folders.root / "mnist" / "MNIST" / "raw"
    # Headers of 16 and 8 bytes, then one byte per pixel or label.
    pixels = np.frombuffer(gzip.decompress((raw / IMAGES).read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((raw / LABELS).read_bytes()), np.uint8, offset=8)
    ours = (splits.test.inputs * 0.3081 + 0.1307) * 255
    assert np.array_equal(ours.round().to(torch.uint8).flatten().numpy(), pixels)
    assert np.array_equal(splits.test.targets.numpy(), labels)


@pytest.mark.data
def test_nothing_is_written(loaded):
    folders, _, before, after = loaded
    assert after == before
    assert len(before) == 4
    assert not list(folders.cache.iterdir())


@pytest.mark.data
@pytest.mark.parametrize("part", ["train", "t10k"])
def test_it_is_what_torchvision_reads(part, copied):
    expected = MNIST(copied.root / "mnist", train=part == "train", download=True)
    pixels, targets = read_digits(copied.root / "mnist", part)
    assert torch.equal(pixels, expected.data)
    assert torch.equal(targets, expected.targets)
    assert targets.dtype == expected.targets.dtype


@pytest.mark.data
def test_tiny_mnist_is_three_of_each_class(loaded):
    folders, everything, _, _ = loaded
    splits = Mnist(train_per_class=3).load(folders, 0)
    assert torch.bincount(splits.train.targets).tolist() == [3] * 10
    assert torch.equal(splits.val.inputs, everything.val.inputs)
    other = Mnist(train_per_class=3, subset="per_replica").load(folders, 1)
    assert not torch.equal(other.train.inputs, splits.train.inputs)


@pytest.mark.data
def test_whole_files_pass_the_check(copied):
    Mnist().check(copied)


@pytest.mark.data
def test_a_missing_file_is_named_with_its_checksum(copied):
    path = labels_of(copied)
    path.unlink()
    said = (
        f"{path} is missing; put the file with md5 {LABELS_MD5} there, or name another data "
        "root with --data-root or CHALLENGER_DATA."
    )
    assert message(DataError, lambda: Mnist().check(copied)) == said
    assert message(DataError, lambda: Mnist().load(copied, 0)) == said


@pytest.mark.data
@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_a_damaged_file_is_named_with_both_checksums(copied, how):
    path = labels_of(copied)
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[:-1]
    else:
        content[100] ^= 1
    path.write_bytes(content)
    found = hashlib.md5(content).hexdigest()
    said = (
        f"{path} is damaged: its md5 should be {LABELS_MD5}, but is {found} "
        f"({len(content)} bytes); replace it by a fresh copy."
    )
    assert message(DataError, lambda: Mnist().check(copied)) == said
    assert message(DataError, lambda: Mnist().load(copied, 0)) == said


@pytest.mark.data
def test_more_samples_of_a_class_than_it_has_are_refused_when_loading(loaded):
    folders, _, _, _ = loaded
    settings = Mnist(train_per_class=5500)
    assert message(ConfigError, lambda: settings.load(folders, 0)) == (
        "train_per_class must not exceed the 4969 samples left of the rarest class, got 5500."
    )


def test_without_a_data_root_it_says_how_to_name_one(folders):
    said = (
        "dataset 'mnist' is read from a data root, and none was given; name one with "
        "--data-root or CHALLENGER_DATA, or use dataset 'digits', which needs none."
    )
    assert message(DataError, lambda: Mnist().check(folders)) == said
    assert message(DataError, lambda: Mnist().load(folders, 0)) == said


def test_sizes_are_checked_before_files(folders):
    assert message(ConfigError, lambda: Mnist(val_size=60_000).check(folders)) == (
        "val_size must leave training samples of the 60000 there are, got 60000."
    )
    assert message(ConfigError, lambda: Mnist(test_size=10_001).check(folders)) == (
        "test_size must not exceed the 10000 test samples, got 10001."
    )


def test_a_file_is_compared_with_its_checksum(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    check_file(path, hashlib.md5(b"abc").hexdigest())
    wrong = hashlib.md5(b"abd").hexdigest()
    assert message(DataError, lambda: check_file(path, wrong)) == (
        f"{path} is damaged: its md5 should be {wrong}, but is "
        f"{hashlib.md5(b'abc').hexdigest()} (3 bytes); replace it by a fresh copy."
    )
