"""Arrays of NumPy as images, series and tables, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.builders import message
from trainables.datasets import Arrays, DataFolders, PixelSamples
from trainables.datasets import arrays as module
from trainables.datasets.stored_samples import StoredSamples
from trainables.datasets.tensor_samples import TensorSamples
from trainables.errors import DataError

RNG = np.random.default_rng(0)
N = 40
LABELS = np.arange(N) % 4
TABLE = RNG.normal(3, 2, (N, 5))
SERIES = RNG.normal(-1, 4, (N, 2, 30)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (N, 8, 8), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path):
    return DataFolders(root=None, cache=tmp_path / "cache")


def save(path: Path, **arrays: np.ndarray) -> Path:
    """Write an npz file, or a folder of npy files."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    return path


def reader(path: Path, **settings: object) -> Arrays:
    return Arrays(path=str(path), **{"val_size": 8, "test_size": 8, **settings})


@pytest.mark.parametrize("name", ["a.npz", "folder"])
@pytest.mark.parametrize(
    ("x", "shape", "domain", "kind"),
    [
        (TABLE, (5, 1), "series", TensorSamples),
        (SERIES, (2, 30), "series", TensorSamples),
        (IMAGES, (1, 8, 8), "image", PixelSamples),
        (IMAGES[:, None].repeat(3, 1), (3, 8, 8), "image", PixelSamples),
        (IMAGES[..., None].repeat(3, 3), (3, 8, 8), "image", PixelSamples),
        (IMAGES[:, None] / 255, (1, 8, 8), "image", TensorSamples),
    ],
    ids=["table", "series", "gray", "color", "channels_last", "floats"],
)
def test_the_shape_says_what_they_are(name, x, shape, domain, kind, tmp_path, folders):
    data = reader(save(tmp_path / name, x=x, y=LABELS))
    splits = data.load(folders, 0)
    assert (data.info.input_shape, data.info.domain, data.info.n_classes) == (shape, domain, 4)
    assert isinstance(splits.train, kind)
    assert [len(one) for one in (splits.train, splits.val, splits.test)] == [24, 8, 8]
    everything = torch.cat(
        [one.views(torch.arange(len(one)))[0] for one in (splits.train, splits.val, splits.test)]
    )
    train = splits.train.views(torch.arange(24))[0]
    if domain == "series":
        axes = (0, 2)
        assert train.mean(axes).abs().max() < 1e-5
        assert (train.std(axes, correction=0) - 1).abs().max() < 1e-5
        assert everything.mean(axes).abs().max() > 1e-5  # of the training samples alone
    else:
        assert everything.min() >= 0
        assert everything.max() <= 1


def test_each_sample_keeps_its_label_and_is_in_one_split(tmp_path, folders):
    x = np.arange(N)[:, None] * 10.0 + LABELS[:, None]
    splits = reader(save(tmp_path / "a.npz", x=x, y=LABELS), normalization="unit").load(folders, 0)
    seen = []
    for samples in (splits.train, splits.val, splits.test):
        values = samples.inputs[:, 0, 0].round().int()
        assert torch.equal(values % 10, samples.targets.int())
        seen += values.tolist()
    assert sorted(seen) == x[:, 0].tolist()


def test_named_splits_are_kept_and_scaled_by_the_training_samples(tmp_path, folders):
    parts = {"train": TABLE[:20], "val": TABLE[20:28] + 100, "test": TABLE[28:] - 100}
    arrays = {f"x_{name}": x for name, x in parts.items()}
    arrays |= {f"y_{name}": LABELS[: len(x)] for name, x in parts.items()}
    splits = reader(save(tmp_path / "a.npz", **arrays)).load(folders, 0)
    mean, std = TABLE[:20].mean(0), TABLE[:20].std(0)
    for name, x in parts.items():
        samples = getattr(splits, name)
        np.testing.assert_allclose(samples.inputs[:, :, 0], (x - mean) / std, rtol=1e-4)
        assert samples.targets.tolist() == LABELS[: len(x)].tolist()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["b", "a"] * 20), ("a", "b")),
        (np.array([b"b", b"a"] * 20), ("a", "b")),
        (np.array([2.0, 10.0] * 20), ("2", "10")),
        (np.array([True, False] * 20), ("False", "True")),
    ],
)
def test_labels_are_numbers_or_texts(labels, classes, tmp_path):
    data = reader(save(tmp_path / "a.npz", x=TABLE, y=labels))
    assert data.listing.classes == classes
    assert torch.bincount(data.listing.targets).tolist() == [20, 20]


def test_several_labels_per_sample_are_stratified(tmp_path, folders):
    labels = (RNG.random((200, 3)) < [0.5, 0.1, 0.05]).astype(int)
    x = np.arange(200.0)[:, None]
    data = reader(save(tmp_path / "a.npz", x=x, y=labels), val_size=0.2, test_size=0.25)
    splits = data.load(folders, 0)
    assert data.info.is_multi_label
    parts = (splits.train, splits.val, splits.test)
    assert [len(one) for one in parts] == [120, 30, 50]
    for share, one in zip((0.6, 0.15, 0.25), parts, strict=True):
        assert (one.targets.sum(0) - share * torch.from_numpy(labels).sum(0)).abs().max() <= 2


def test_arrays_larger_than_the_limit_stay_on_disk(tmp_path, folders, monkeypatch):
    for name, x in (("images", IMAGES), ("table", TABLE), ("series", SERIES)):
        data = reader(save(tmp_path / name, x=x, y=LABELS))
        in_memory = data.load(folders, 0)
        with monkeypatch.context() as patch:
            patch.setattr(module, "MAPPED_FROM_BYTES", 10)
            mapped = data.load(folders, 0)
        assert isinstance(mapped.test, StoredSamples)
        base = mapped.test.array
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)
        rows = torch.tensor([1, 5])
        torch.testing.assert_close(mapped.test.views(rows), in_memory.test.views(rows))


def with_value(x: np.ndarray, row: int, value: float) -> np.ndarray:
    changed = x.copy()
    changed[row].flat[0] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        (
            {"x": with_value(TABLE, 7, np.nan), "y": LABELS},
            ": row 7 of x must hold finite",
        ),
        ({"x": with_value(SERIES, 9, np.inf), "y": LABELS}, ": row 9 of x must hold finite num"),
        (
            {"x": with_value(IMAGES[:, None] / 255, 3, 1.5), "y": LABELS},
            ": row 3 of x must hold numbers in [0, 1], but holds others",
        ),
        ({"x": TABLE, "y": LABELS[1:]}, " must have a label per sample, but x has 40 rows and y"),
        ({"x": TABLE}, " holds x, but no y; add the labels."),
        ({"z": TABLE}, " must hold arrays 'x' and 'y', or 'x_train', 'y_train' and so on, but"),
        ({"x": TABLE, "x_train": TABLE, "y": LABELS}, " must hold arrays 'x' and 'y', or"),
        ({"x": TABLE, "y": LABELS * 0}, " must have samples of two classes at least, but all"),
        ({"x": TABLE, "y": LABELS + 0.5}, ": row 0 of x must have a class as its label, got 0.5"),
        (
            {"x": TABLE, "y": np.array([""] + ["a", "b", "c"] * 13)},
            ": row 0 of x must have a",
        ),
        ({"x": TABLE, "y": TABLE}, " must hold 0 or 1 per class in y of two dimensions"),
        ({"x": TABLE, "y": SERIES}, " must hold a class per sample in y, but y has shape"),
        ({"x": TABLE.astype(str), "y": LABELS}, ": x must be a table (sample, feature), series"),
        ({"x": TABLE[:, 0], "y": LABELS}, ": x must be a table (sample, feature), series (sample"),
        (
            {"x_train": TABLE, "y_train": LABELS, "x_test": TABLE[:, 1:], "y_test": LABELS},
            " must hold samples of one shape, but has (4, 1) and (5, 1).",
        ),
        (
            {"x_train": TABLE, "y_train": LABELS, "x_test": TABLE[:3], "y_test": LABELS[:3]},
            " must have samples of every class in its test split, but none of class '3'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_row(arrays, rule, tmp_path, folders):
    path = save(tmp_path / "a.npz", **arrays)
    assert message(DataError, lambda: reader(path).check(folders)).startswith(f"{path}{rule}")


def test_pickles_other_files_and_damage_are_refused(tmp_path, folders):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{}, []], dtype=object), y=LABELS[:2])
    said = message(DataError, lambda: reader(path).check(folders))
    assert said.startswith(f"{path} is damaged (Object arrays cannot be loaded")
    whole = save(tmp_path / "b.npz", x=TABLE, y=LABELS).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    said = message(DataError, lambda: reader(path).check(folders))
    assert said == f"{path} is damaged (File is not a zip file); replace it by a fresh copy."
    other = tmp_path / "a.csv"
    other.write_text("")
    assert "must be an npz file, or a folder with x.npy" in message(
        DataError, lambda: reader(other).check(folders)
    )
    with pytest.raises(DataError, match="which are no images"):
        reader(save(tmp_path / "c.npz", x=TABLE, y=LABELS), kind="images").check(folders)
