"""A folder of images, one folder per class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field

from trainables.datasets.data_files import cache_path
from trainables.datasets.reader import MAPPED_FROM_BYTES, Listing, Reader, encode_labels
from trainables.datasets.samples import PixelSamples, PixelScale, Samples
from trainables.datasets.splits import DataFolders, DatasetInfo
from trainables.datasets.stored_samples import StoredSamples, channel_moments, read_rows
from trainables.datasets.subset import SplitIndices
from trainables.datasets.user_paths import UserPath
from trainables.decoding import record
from trainables.errors import DataError
from trainables.names import printable
from trainables.runtime.storage_errors import atomic_file, storage_errors

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_SPLIT_NAMES = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
_N_MEASURED = 64


@record
class ImageFolder(Reader):
    """Images in one folder per class, with or without ``train/``, ``val/`` and ``test/`` above.

    ``path/CLASS/*.png``, or ``path/train/CLASS/*.png`` and so on. Images are turned as their EXIF
    data says, enlarged or reduced to ``size`` on their shorter side, and cut to its middle.

    Attributes:
        path: The folder, relative to the study file.
        size: Side of the square images that a model sees, in pixels.
        channels: 1 for gray, 3 for color; images are converted.
        normalization: ``unit`` for values in [0, 1], or ``standardize`` to mean 0 and variance 1
            per channel, over the training samples.
    """

    name: ClassVar[str] = "image_folder"
    path: UserPath
    size: Annotated[int, Field(ge=4, le=1024)] = 32
    channels: Literal[1, 3] = 3
    normalization: Literal["standardize", "unit"] = "unit"

    @property
    def source(self) -> Path:
        """The folder."""
        return Path(self.path)

    def _read_listing(self) -> Listing:
        files, splits, given = _list_images(self.source)
        labels = [file.parent.name for file in files]
        classes, targets = encode_labels(labels, lambda i: str(files[i]))
        background, spread = 0.0, 1.0
        if self.normalization == "standardize":
            background, spread = self._measured_scale(files)
        return Listing(
            classes=classes,
            targets=targets,
            splits=torch.tensor(splits),
            given=given,
            info=DatasetInfo(
                n_classes=len(classes),
                input_shape=(self.channels, self.size, self.size),
                domain="image",
                background=background,
                spread=spread,
            ),
            place=lambda i: str(files[i]),
            content=" ".join(str(file.stat().st_size) for file in files),
            extra=files,
        )

    def _measured_scale(self, files: list[Path]) -> tuple[float, float]:
        # The unit of a search must be known before all images are read.
        step = max(1, len(files) // _N_MEASURED)
        pixels = np.stack([self._decode(file) for file in files[::step][:_N_MEASURED]]) / 255
        std = max(float(pixels.std()), 1e-3)
        return -float(pixels.mean()) / std, 1 / std

    def _decode(self, file: Path) -> UInt8[np.ndarray, "channel height width"]:
        from PIL import Image, ImageOps

        try:
            with warnings.catch_warnings(), Image.open(file) as opened:
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                turned = ImageOps.exif_transpose(opened)
                if turned.mode.startswith("I"):  # 16 bits
                    values = np.asarray(turned, dtype=np.float64) / 257
                    turned = Image.fromarray(values.clip(0, 255).astype(np.uint8))
                image = turned.convert("L" if self.channels == 1 else "RGB")
                fitted = ImageOps.fit(image, (self.size, self.size), Image.Resampling.BILINEAR)
                pixels = np.asarray(fitted, dtype=np.uint8)
        # What Pillow raises for damaged files and bombs.
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ) as error:
            raise DataError(
                f"{file} must be an image, but cannot be read ({printable(str(error))}); replace "
                "or remove it."
            ) from error
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def _samples(
        self, listing: Listing, chosen: SplitIndices, folders: DataFolders
    ) -> Mapping[str, Samples]:
        pixels = np.load(self._cached(listing, folders), mmap_mode="r")
        scale = PixelScale.unit()
        if self.normalization == "standardize":
            mean, std = channel_moments(pixels, chosen.train)
            scale = PixelScale.standard((mean / 255).tolist(), (std / 255).tolist())
        parts = {"train": chosen.train, "val": chosen.val, "test": chosen.test}
        if pixels.nbytes > MAPPED_FROM_BYTES:
            return {
                name: StoredSamples.of_images(pixels, rows, listing.targets[rows], scale)
                for name, rows in parts.items()
            }
        return {
            name: PixelSamples(
                pixels=read_rows(pixels, rows), targets=listing.targets[rows], scale=scale
            )
            for name, rows in parts.items()
        }

    def _cached(self, listing: Listing, folders: DataFolders) -> Path:
        files: list[Path] = listing.extra
        stamps = [(str(file), *_stamp(file)) for file in files]
        identity = ["image_folder", self.size, self.channels, stamps]
        path = cache_path(folders.cache / self.name, identity).with_suffix(".npy")
        if path.is_file():
            return path
        with storage_errors(folders.cache):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as target:
                shape = (len(files), self.channels, self.size, self.size)
                layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(target, layout)
                for file in files:
                    target.write(self._decode(file).tobytes())
        return path


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _list_images(folder: Path) -> tuple[list[Path], list[int], frozenset[str]]:
    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder with one folder per class, but is a file.")
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    tops = {path: _SPLIT_NAMES[path.name] for path in inside if path.name in _SPLIT_NAMES}
    has_splits = any(number == 0 for number in tops.values())
    files: list[Path] = []
    splits: list[int] = []
    for top, number in tops.items() if has_splits else [(folder, 0)]:
        for home in sorted(path for path in top.iterdir() if path.is_dir()):
            if home.name.startswith("."):
                continue
            found = [one for one in sorted(home.rglob("*")) if one.suffix.lower() in ENDINGS]
            if not found:
                raise DataError(
                    f"{home} must hold images of its class ({', '.join(ENDINGS)}), but holds "
                    "none; add some or remove it."
                )
            files += [home / one.name if one.parent == home else one for one in found]
            splits += [number] * len(found)
    if not files:
        raise DataError(
            f"{folder} must hold one folder per class with images ({', '.join(ENDINGS)}), but "
            "holds none."
        )
    names = {1: "val", 2: "test"}
    return files, splits, frozenset(names[n] for n in set(splits) if n in names)
