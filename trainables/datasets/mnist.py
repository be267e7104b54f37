"""MNIST: 60,000 training and 10,000 test digits, read from the data root."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Int, UInt8
from torch import Tensor

from trainables.datasets.data_files import dataset_folder
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset import ImageSettings
from trainables.decoding import record
from trainables.fields import Size

__all__ = ["mnist_info", "mnist_samples"]

# Mean and standard deviation of the 60,000 training images, of pixels in [0, 1].
_MEAN, _STD = 0.1307, 0.3081


def mnist_info(settings: ImageSettings) -> DatasetInfo:
    """Describe 28 × 28 gray images of ten digits."""
    is_standard = settings.normalization == "standardize"
    return DatasetInfo(
        n_classes=10,
        input_shape=(1, 28, 28),
        domain="image",
        background=-_MEAN / _STD if is_standard else 0.0,
        spread=1 / _STD if is_standard else 1.0,
    )


def mnist_samples(
    pixels: UInt8[Tensor, "sample height width"],
    targets: Int[Tensor, " sample"],
    settings: ImageSettings,
) -> PixelSamples:
    """Keep digits to be scaled as the settings say."""
    is_standard = settings.normalization == "standardize"
    scale = PixelScale.standard([_MEAN], [_STD]) if is_standard else PixelScale.unit()
    return PixelSamples(pixels=pixels[:, None], targets=targets, scale=scale)


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
        """What is known before reading."""
        return mnist_info(self)

    def check(self, folders: DataFolders) -> None:
        """Check the sizes and the checksums of the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        # torchvision is slow to import, and a driver mostly does without.
        from trainables.datasets.mnist_files import check_digits

        self.check_sizes(60_000, 10_000, self.info.n_classes)
        check_digits(dataset_folder(folders, self.name))

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        from trainables.datasets.mnist_files import read_digits

        home = dataset_folder(folders, self.name)
        train = mnist_samples(*read_digits(home, folders.cache, is_train=True), self)
        test = mnist_samples(*read_digits(home, folders.cache, is_train=False), self)
        return self.split(train, test, replica_seed)
