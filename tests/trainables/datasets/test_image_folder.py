"""Folders of real image files, made here: PNG, JPEG, palettes, 16 bits, EXIF, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.builders import message
from trainables.datasets import DataFolders, ImageFolder, PixelSamples
from trainables.datasets import image_folder as module
from trainables.datasets.stored_samples import StoredSamples
from trainables.errors import ConfigError, DataError, StorageError

N = 20


@pytest.fixture
def folders(tmp_path):
    return DataFolders(root=None, cache=tmp_path / "cache")


def write(home: Path, count: int = N, first: int = 0) -> None:
    """Write gray images whose pixels are all their own number."""
    home.mkdir(parents=True)
    for k in range(count):
        Image.new("L", (8, 8), first + k).save(home / f"{k:03}.png")


@pytest.fixture
def home(tmp_path):
    for k, name in enumerate(("cat", "dog", "10", "9")):
        write(tmp_path / "pets" / name, first=50 * k)
    return tmp_path / "pets"


def reader(home: Path, **settings: object) -> ImageFolder:
    return ImageFolder(path=str(home), size=8, channels=1, **settings)


def numbers(samples) -> set[int]:
    return set(
        (255 * samples.views(torch.arange(len(samples)))[0, :, 0, 0, 0]).round().int().tolist()
    )


def test_classes_are_folders_and_splits_are_disjoint_and_stratified(home, folders):
    data = reader(home, val_size=8, test_size=0.2)
    info, splits = data.info, data.load(folders, 0)
    assert data.listing.classes == ("9", "10", "cat", "dog")
    assert (info.n_classes, info.input_shape, info.domain) == (4, (1, 8, 8), "image")
    assert isinstance(splits.train, PixelSamples)
    parts = [numbers(one) for one in (splits.train, splits.val, splits.test)]
    assert [len(part) for part in parts] == [56, 8, 16]
    assert len(set.union(*parts)) == 80
    for samples, count in ((splits.val, 2), (splits.test, 4)):
        assert torch.bincount(samples.targets).tolist() == [count] * 4
    first = {0: 150, 1: 100, 2: 0, 3: 50}
    for samples in (splits.train, splits.val, splits.test):
        pixels = samples.pixels[:, 0, 0, 0].tolist()
        for pixel, target in zip(pixels, samples.targets.tolist(), strict=True):
            assert first[target] <= pixel < first[target] + N


def test_a_subset_per_class_may_be_each_replicas_own(home, folders):
    data = reader(home, train_per_class=2, subset="per_replica")
    first, again, other = (data.load(folders, seed).train for seed in (0, 0, 1))
    assert torch.bincount(first.targets).tolist() == [2] * 4
    assert numbers(first) == numbers(again) != numbers(other)
    assert data.training_size == 8
    assert data.description == "pets (image_folder, 2 per class, a subset per replica)"


def test_splits_of_the_folder_are_kept_and_missing_ones_drawn(tmp_path, folders):
    for split, count in (("train", 10), ("test", 4)):
        for k, name in enumerate(("a", "b")):
            write(tmp_path / "set" / split / name, count, first=100 * k + 50 * (split == "test"))
    splits = reader(tmp_path / "set", val_size=4).load(folders, 0)
    assert numbers(splits.test) == {50, 51, 52, 53, 150, 151, 152, 153}
    assert (len(splits.train), len(splits.val)) == (16, 4)


def test_standardized_images_have_mean_0_and_variance_1_over_the_training_samples(home, folders):
    data = reader(home, normalization="standardize")
    inputs = data.load(folders, 0).train.inputs
    assert inputs.mean().abs() < 1e-5
    assert inputs.std(correction=0) == pytest.approx(1, abs=1e-5)
    # The unit of the search is measured on some images, before all are read.
    assert data.info.spread == pytest.approx(255 / 58.1, rel=0.1)
    assert data.info.background < 0


def test_a_large_set_stays_on_disk_and_gives_the_same(home, folders, monkeypatch):
    for normalization in ("unit", "standardize"):
        data = reader(home, normalization=normalization)
        in_memory = data.load(folders, 0)
        with monkeypatch.context() as patch:
            patch.setattr(module, "MAPPED_FROM_BYTES", 100)
            mapped = data.load(folders, 0)
        assert isinstance(mapped.train, StoredSamples)
        assert isinstance(mapped.train.array, np.memmap)
        indices, generator = torch.tensor([3, 0, 7]), torch.Generator()
        for name in ("train", "val", "test"):
            a, b = getattr(in_memory, name), getattr(mapped, name)
            assert torch.equal(a.targets, b.targets)
            torch.testing.assert_close(a.views(indices), b.views(indices))
            batch = b.take(torch.arange(8)).make_batch(indices, generator)
            torch.testing.assert_close(batch.inputs, a.views(indices)[0])
            assert torch.equal(batch.targets, a.targets[indices])


def test_images_of_any_kind_are_converted(tmp_path):
    file, data = tmp_path / "a.png", reader(tmp_path)
    color = ImageFolder(path=str(tmp_path), size=8)
    Image.new("RGB", (8, 8), (10, 20, 30)).save(file)
    assert color._decode(file)[:, 0, 0].tolist() == [10, 20, 30]
    assert data._decode(file).shape == (1, 8, 8)
    Image.fromarray(np.full((8, 8), 257 * 77, dtype=np.uint16)).save(file)
    assert set(data._decode(file).ravel().tolist()) == {77}
    Image.new("RGB", (8, 8), (1, 2, 3)).quantize(4).save(file)
    assert color._decode(file)[:, 0, 0].tolist() == [1, 2, 3]
    wide = Image.new("L", (24, 8), 0)
    wide.paste(200, (8, 0, 16, 8))
    wide.save(file)
    assert set(data._decode(file).ravel().tolist()) == {200}
    # A camera that was held sideways.
    turned = Image.new("L", (8, 8), 0)
    turned.paste(255, (0, 0, 8, 4))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "b.jpg", exif=exif, quality=100)
    pixels = data._decode(tmp_path / "b.jpg")[0]
    assert pixels[:, 6:].min() > 200
    assert pixels[:, :2].max() < 50


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_an_unreadable_image_is_named(content, home, folders):
    bad = home / "dog" / "005.png"
    bad.write_bytes(content)
    said = message(DataError, lambda: reader(home).check(folders))
    assert said.startswith(f"{bad} must be an image, but cannot be read (")
    assert said.endswith("); replace or remove it.")
    assert not list(folders.cache.rglob("*.npy"))


def test_an_image_that_would_fill_the_memory_is_refused(home, folders, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (12, 12)).save(home / "dog" / "005.png")
    said = message(DataError, lambda: reader(home).check(folders))
    assert "exceeds limit of 100 pixels" in said


def test_other_images_are_decoded_anew_and_noticed(home, folders):
    data = reader(home)
    data.check(folders)
    before = data.provenance(folders)
    assert before.startswith("own data: 80 samples (9 20, 10 20, cat 20, dog 20), content ")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(home / "cat" / "000.png")
    home.touch()
    data.check(folders)
    assert len(list(folders.cache.rglob("*.npy"))) == 2
    assert data.provenance(folders) != before


def test_what_is_no_such_folder_is_refused_with_what_must_be_there(tmp_path, folders):
    missing = tmp_path / "gone"
    expected = f"{missing} is missing; correct its path, which is relative to the study file."
    assert message(ConfigError, lambda: reader(missing).info) == f"dataset: {expected}"
    assert message(DataError, lambda: reader(missing).check(folders)) == expected
    (tmp_path / "file").write_text("")
    assert "must be a folder with one folder per class" in message(
        DataError, lambda: reader(tmp_path / "file").check(folders)
    )
    (tmp_path / "empty" / "a").mkdir(parents=True)
    assert message(DataError, lambda: reader(tmp_path / "empty").check(folders)).startswith(
        f"{tmp_path / 'empty' / 'a'} must hold images of its class"
    )
    (tmp_path / "bare").mkdir()
    assert "must hold one folder per class with images" in message(
        DataError, lambda: reader(tmp_path / "bare").check(folders)
    )


def test_one_class_and_a_class_that_a_split_lacks_are_refused(tmp_path, folders):
    write(tmp_path / "one" / "a")
    assert message(DataError, lambda: reader(tmp_path / "one").check(folders)) == (
        f"{tmp_path / 'one'} must have samples of two classes at least, but all are of class 'a'; "
        "add samples of another class."
    )
    write(tmp_path / "two" / "a")
    write(tmp_path / "two" / "b", 1)
    assert message(DataError, lambda: reader(tmp_path / "two").check(folders)).startswith(
        f"{tmp_path / 'two'} must have samples of every class in its "
    )


def test_sizes_that_leave_nothing_are_refused(home, folders):
    said = message(ConfigError, lambda: reader(home, val_size=64).check(folders))
    assert said == "val_size must leave training samples of the 64 there are, got 64."
    said = message(ConfigError, lambda: reader(home, train_per_class=50).check(folders))
    assert said.startswith("train_per_class must not exceed the 13 samples left of the rarest")
    said = message(ConfigError, lambda: reader(home, train_size=500).check(folders))
    assert said.startswith("train_size must not exceed the ")


def test_a_full_disk_is_a_storage_error(home, disk):
    disk.fill()
    with pytest.raises(StorageError, match="No space left on device"):
        reader(home).check(DataFolders(root=None, cache=disk.path / "cache"))
