"""MNIST: 60,000 training and 10,000 test digits, read from the data root."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from trainables.datasets.archives import gzip_content
from trainables.datasets.data_files import check_file, dataset_folder
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.datasets.sources import SOURCES
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset import ImageSettings
from trainables.decoding import record
from trainables.fields import Size

# Mean and standard deviation of the 60,000 training images, of pixels in [0, 1].
_MEAN, _STD = 0.1307, 0.3081
# Half of white: brighter pixels are the digit's ink.
_INK_FROM = 128

_RAW = Path("MNIST", "raw")
_MD5 = {Path(f.path).name: f.checksum.digest for f in SOURCES["mnist"].files if f.checksum}


def mnist_info(settings: ImageSettings) -> DatasetInfo:
    """Return the description of 28 × 28 gray images of ten digits."""
    is_standard = settings.normalization == "standardize"
    return DatasetInfo(
        n_classes=10,
        input_shape=(1, 28, 28),
        domain="image",
        background=-_MEAN / _STD if is_standard else 0.0,
        spread=1 / _STD if is_standard else 1.0,
        has_object_mask=True,
    )


def mnist_samples(
    pixels: UInt8[Tensor, "sample height width"],
    targets: Int[Tensor, " sample"],
    settings: ImageSettings,
) -> PixelSamples:
    """Return digits that are scaled by the settings' normalization."""
    is_standard = settings.normalization == "standardize"
    scale = PixelScale.standard([_MEAN], [_STD]) if is_standard else PixelScale.unit()
    return PixelSamples(
        pixels=pixels[:, None], targets=targets, scale=scale, object_from=_INK_FROM
    )


@record
class Mnist(ImageSettings):
    """Full MNIST, or a subset of any size.

    Training and validation samples come from the 60,000, test samples from the 10,000. The data
    root holds torchvision's files as they are downloaded: ``mnist/MNIST/raw/*.gz``.
    """

    name: ClassVar[str] = "mnist"
    val_size: Size = 5000
    test_size: Size | None = None

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading."""
        return mnist_info(self)

    @property
    def pool_size(self) -> int:
        """Samples for training and validation."""
        return 60_000

    def check(self, folders: DataFolders) -> None:
        """Check the sizes and the checksums of the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        self.check_sizes(self.pool_size, 10_000, self.info.n_classes)
        home = dataset_folder(folders, self.name)
        for file, md5 in _MD5.items():
            check_file(home / _RAW / file, md5)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        home = dataset_folder(folders, self.name)
        train = mnist_samples(*read_digits(home, "train"), self)
        test = mnist_samples(*read_digits(home, "t10k"), self)
        return self.split(train, test, replica_seed)


@functools.lru_cache(maxsize=2)
def read_digits(
    home: Path, part: Literal["train", "t10k"]
) -> tuple[UInt8[Tensor, "sample height width"], Int[Tensor, " sample"]]:
    """Read pixels and classes of the 60,000 training or of the 10,000 test digits.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    pixels = _read_idx(home / _RAW / f"{part}-images-idx3-ubyte.gz")
    labels = _read_idx(home / _RAW / f"{part}-labels-idx1-ubyte.gz")
    return pixels, labels.long()


def _read_idx(path: Path) -> Tensor:
    # Two zeros, the type (8: bytes), the number of dimensions, then their sizes, 4 bytes each.
    check_file(path, _MD5[path.name])
    content = gzip_content(path)
    n_dims = content[3]
    shape = np.frombuffer(content, ">u4", count=n_dims, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * n_dims)
    return torch.from_numpy(values.reshape(shape).copy())
