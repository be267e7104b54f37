"""Arrays of NumPy: images, series or tables, in an npz file or a folder of npy files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch

from trainables.datasets.archives import archive_errors, archived_files, zip_directory
from trainables.datasets.reader import MAPPED_FROM_BYTES, Listing, Reader, encode_labels
from trainables.datasets.samples import PixelSamples, PixelScale, Samples
from trainables.datasets.splits import DataFolders, DatasetInfo
from trainables.datasets.stored_samples import (
    Array,
    StoredSamples,
    channel_moments,
    read_rows,
    row_blocks,
)
from trainables.datasets.subset import SplitIndices
from trainables.datasets.tensor_samples import TensorSamples
from trainables.datasets.user_paths import UserPath
from trainables.decoding import record
from trainables.errors import DataError

_SUFFIXES = {"": 0, "_train": 0, "_val": 1, "_test": 2}
_Kind: TypeAlias = Literal["images", "series", "table"]
_LAYOUTS: Mapping[int, _Kind] = {2: "table", 3: "series", 4: "images"}


@record
class Arrays(Reader):
    """Arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_val``, …, ``y_test``.

    ``path`` is an npz file, or a folder with one npy file each, which are read from disk batch by
    batch where they have more than 1 GiB. ``y`` holds a class per sample, as integers or texts, or
    0 or 1 per class. ``x`` is a table (sample, feature), series (sample, channel, time), or images
    (sample, height, width), (sample, channel, height, width) or (…, height, width, channel) of
    bytes, or of floats in [0, 1].

    Attributes:
        path: The npz file or the folder, relative to the study file.
        kind: ``images``, ``series`` or ``table``; null where the shape of ``x`` says it. Without
            it, three dimensions are series, and images if they are bytes.
        normalization: ``unit`` leaves images in [0, 1]; ``standardize`` scales to mean 0 and
            variance 1 per channel or feature over the training samples. Null is ``unit`` for
            images, and ``standardize`` otherwise.
    """

    name: ClassVar[str] = "arrays"
    path: UserPath
    kind: _Kind | None = None
    normalization: Literal["standardize", "unit"] | None = None

    @property
    def source(self) -> Path:
        """The file or the folder."""
        return Path(self.path)

    def _read_listing(self) -> Listing:
        arrays = _open(self.source)
        names = [end for end in _SUFFIXES if f"x{end}" in arrays]
        if not names or ("" in names and len(names) > 1) or names[0] not in ("", "_train"):
            raise DataError(
                f"{self.source} must hold arrays 'x' and 'y', or 'x_train', 'y_train' and so on, "
                f"but holds {', '.join(sorted(arrays)) or 'none'}."
            )
        parts = [self._part(arrays, end) for end in names]
        shapes = {x.shape[1:] for x, _ in parts}
        if len(shapes) > 1:
            raise DataError(
                f"{self.source} must hold samples of one shape, but has "
                f"{' and '.join(map(str, sorted(shapes)))}."
            )
        labels = np.concatenate([y for _, y in parts])
        numbers = [n for end, (x, _) in zip(names, parts, strict=True) for n in range(len(x))]
        owners = [end for end, (x, _) in zip(names, parts, strict=True) for _ in range(len(x))]

        def place(index: int) -> str:
            return f"{self.source}: row {numbers[index]} of x{owners[index]}"

        classes, targets = _classes(labels, place, self.source)
        splits = [_SUFFIXES[end] for end in owners]
        x = parts[0][0]
        return Listing(
            classes=classes,
            targets=targets,
            splits=torch.tensor(splits),
            given=frozenset({1: "val", 2: "test"}[n] for n in set(splits) if n),
            info=self._info(x, classes, targets),
            place=place,
            content=_content(self.source),
            extra=[x for x, _ in parts],
        )

    def _part(self, arrays: Mapping[str, Array], end: str) -> tuple[Array, Array]:
        x = arrays[f"x{end}"]
        if f"y{end}" not in arrays:
            raise DataError(f"{self.source} holds x{end}, but no y{end}; add the labels.")
        y = arrays[f"y{end}"]
        if len(x) != len(y) or len(x) == 0:
            raise DataError(
                f"{self.source} must have a label per sample, but x{end} has {len(x)} rows and "
                f"y{end} has {len(y)}."
            )
        return self._channels_first(x, end), y

    def _channels_first(self, x: Array, end: str) -> Array:
        is_gray = x.ndim == 3 and x.dtype == np.uint8
        kind = self.kind or ("images" if is_gray else _LAYOUTS.get(x.ndim))
        is_pixels = x.dtype == np.uint8 or x.dtype.kind == "f"
        fits = {
            "table": x.ndim == 2,
            "series": x.ndim in (2, 3),
            "images": x.ndim in (3, 4) and is_pixels,
        }
        if kind is None or not fits[kind] or x.dtype.kind not in "buif":
            raise DataError(
                f"{self.source}: x{end} must be a table (sample, feature), series (sample, "
                "channel, time) or images (sample, channel, height, width) of numbers, but has "
                f"shape {x.shape} and type {x.dtype}"
                f"{'' if self.kind is None else f', which are no {self.kind}'}."
            )
        if kind == "table":
            return x[:, :, None]
        if x.ndim == (2 if kind == "series" else 3):
            return x[:, None]
        if kind == "images" and x.shape[1] > 4 and x.shape[3] <= 4:
            return x.transpose(0, 3, 1, 2)
        return x

    def _info(self, x: Array, classes: tuple[str, ...], targets: torch.Tensor) -> DatasetInfo:
        background, spread = 0.0, 1.0
        is_image = x.ndim == 4
        if is_image and self._is_standardized(x):
            step = max(1, len(x) // 1000)
            some = np.asarray(x[::step][:1000], dtype=np.float64)
            some = some / 255 if x.dtype == np.uint8 else some
            std = max(float(some.std()), 1e-3)
            background, spread = -float(some.mean()) / std, 1 / std
        return DatasetInfo(
            n_classes=len(classes),
            input_shape=tuple(x.shape[1:]),
            domain="image" if is_image else "series",
            background=background,
            spread=spread,
            is_multi_label=targets.ndim == 2,
        )

    def _is_standardized(self, x: Array) -> bool:
        default = "unit" if x.ndim == 4 else "standardize"
        return (self.normalization or default) == "standardize"

    def _samples(
        self, listing: Listing, chosen: SplitIndices, folders: DataFolders
    ) -> Mapping[str, Samples]:
        del folders
        x = _Joined(listing.extra)
        for part, first in zip(x.parts, x.firsts, strict=True):
            self._check_values(part, first, listing)
        train = x.local(chosen.train)
        shift, scale = np.zeros(x.parts[0].shape[1]), np.ones(x.parts[0].shape[1])
        if self._is_standardized(x.parts[0]):
            shift, scale = channel_moments(x.parts[0], train)
        return {
            name: self._split(x, getattr(chosen, name), listing, (shift, scale))
            for name in ("train", "val", "test")
        }

    def _check_values(self, part: Array, first: int, listing: Listing) -> None:
        if part.dtype.kind != "f":
            return
        is_image = part.ndim == 4
        rule = "numbers in [0, 1]" if is_image else "finite numbers"
        for rows, block in row_blocks(part, torch.arange(len(part))):
            fits = (block >= 0) & (block <= 1) if is_image else np.isfinite(block)
            bad = ~fits.reshape(len(block), -1).all(1)
            if bad.any():
                row = first + int(rows[int(bad.argmax())])
                raise DataError(
                    f"{listing.place(row)} must hold {rule}, but holds others; correct or remove "
                    "the sample."
                )

    def _split(
        self, x: _Joined, rows: torch.Tensor, listing: Listing, scale: tuple[Array, Array]
    ) -> Samples:
        part, local, targets = x.owner(rows), x.local(rows), listing.targets[rows]
        ones = [1] * (part.ndim - 2)
        shift, size = (torch.from_numpy(one).float().reshape(-1, *ones) for one in scale)
        if part.ndim == 4 and part.dtype == np.uint8:
            unit = not self._is_standardized(part)
            pixels = PixelScale.unit()
            if not unit:
                mean, std = (one / 255 for one in scale)
                pixels = PixelScale.standard(mean.tolist(), std.tolist())
            if part.nbytes > MAPPED_FROM_BYTES:
                return StoredSamples.of_images(part, local, targets, pixels)
            return PixelSamples(pixels=read_rows(part, local), targets=targets, scale=pixels)
        stored = StoredSamples(array=part, rows=local, targets=targets, shift=shift, scale=size)
        if part.nbytes > MAPPED_FROM_BYTES:
            return stored
        return TensorSamples(inputs=stored.views(torch.arange(len(rows)))[0], targets=targets)


class _Joined:
    """Arrays of several splits, numbered one behind the other."""

    def __init__(self, parts: list[Array]) -> None:
        self.parts = parts
        lengths = [len(part) for part in parts]
        self.firsts = [sum(lengths[:k]) for k in range(len(parts))]

    def _index(self, rows: torch.Tensor) -> int:
        return max(k for k, first in enumerate(self.firsts) if first <= int(rows[0]))

    def owner(self, rows: torch.Tensor) -> Array:
        """Return the array that holds the rows of a split."""
        return self.parts[self._index(rows)]

    def local(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the numbers of rows in the array that holds them."""
        return rows - self.firsts[self._index(rows)]


def _classes(
    labels: Array,
    place: Callable[[int], str],
    source: Path,
) -> tuple[tuple[str, ...], torch.Tensor]:
    if labels.ndim == 2:
        if not np.isin(labels, (0, 1)).all():
            raise DataError(
                f"{source} must hold 0 or 1 per class in y of two dimensions, but holds others."
            )
        return tuple(map(str, range(labels.shape[1]))), torch.from_numpy(labels.astype(np.float32))
    if labels.ndim != 1 or labels.dtype.kind not in "buifUS":
        raise DataError(
            f"{source} must hold a class per sample in y, but y has shape {labels.shape} and "
            f"type {labels.dtype}."
        )
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all() or (labels != np.round(labels)).any():
            row = int((~np.isfinite(labels) | (labels != np.round(labels))).argmax())
            raise DataError(f"{place(row)} must have a class as its label, got {labels[row]}.")
        labels = labels.astype(np.int64)
    texts = labels.astype(str) if labels.dtype.kind != "S" else np.char.decode(labels, "utf-8")
    return encode_labels(texts.tolist(), place)


def _content(path: Path) -> str:
    if path.is_dir():
        sizes = [(file.name, file.stat().st_size) for file in sorted(path.glob("[xy]*.npy"))]
        return str(sizes)
    return str([(one.filename, one.CRC) for one in zip_directory(path)])


def _open(path: Path) -> dict[str, Array]:
    with archive_errors(path):
        if path.is_dir():
            return {
                file.stem: np.load(file, mmap_mode="r", allow_pickle=False)
                for file in sorted(path.glob("[xy]*.npy"))
            }
        if path.suffix != ".npz":
            raise DataError(
                f"{path} must be an npz file, or a folder with x.npy and y.npy, but is neither."
            )
        for _ in archived_files(path):
            pass  # within the limits
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            wanted = [name for name in arrays.files if name[:1] in ("x", "y")]
            return {name: arrays[name] for name in wanted}
