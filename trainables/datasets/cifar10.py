"""CIFAR-10: 50,000 training and 10,000 test images, read as torchvision stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from trainables.datasets.data_files import dataset_folder
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset import ImageSettings
from trainables.decoding import record
from trainables.fields import Size

if TYPE_CHECKING:
    from trainables.datasets.cifar10_files import ImageArrays

# Mean and standard deviation of each channel over all pixels of the 50,000 training images, of
# pixels in [0, 1].
_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

_BATCH_SIZE = 10_000
_BATCHES = 5


@record
class Cifar10(ImageSettings):
    """32 × 32 color images of ten classes, or a subset of any size.

    Training and validation samples come from the training batches, test samples from the test
    batch. Below ``cifar10/`` the data root holds one of: ``cifar-10-batches-py/`` as torchvision
    leaves it, the official ``cifar-10-python.tar.gz``, or ``cifar-10-first-batch.tar.xz`` with
    the first training batch and the test batch alone.

    Attributes:
        train_batches: Number of the five batches of 10,000 training images that are read, from
            the first. The scaling is always that of all five.
    """

    name: ClassVar[str] = "cifar10"
    val_size: Size = 5000
    test_size: Size | None = None
    train_batches: Annotated[int, Field(ge=1, le=_BATCHES)] = _BATCHES

    @property
    def label(self) -> str:
        """Name the dataset, with how much of it is read where that is not all."""
        if self.train_batches == _BATCHES:
            return self.name
        return f"{self.name} (first {self.train_batches} of {_BATCHES} training batches)"

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading.

        The background is 0: the mean color if standardized, else black. No single number is
        black in all three channels, and no model pads images of this size.
        """
        return DatasetInfo(
            n_classes=10,
            input_shape=(3, 32, 32),
            domain="image",
            background=0.0,
            spread=self._gray_step,
        )

    def check(self, folders: DataFolders) -> None:
        """Check the sizes and the checksums of the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        # torchvision is slow to import, and a driver mostly does without.
        from trainables.datasets.cifar10_files import check_batches

        self.check_sizes(_BATCH_SIZE * self.train_batches, _BATCH_SIZE, self.info.n_classes)
        check_batches(dataset_folder(folders, self.name), self.train_batches)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        from trainables.datasets.cifar10_files import TEST, TRAINING, read_images, unpacked

        home = dataset_folder(folders, self.name)
        folder = unpacked(home, self.train_batches, folders.cache / self.name)
        pool = read_images(folder, TRAINING[: self.train_batches])
        test = read_images(folder, (TEST,))
        chosen = self.choose(pool.targets, test.targets, replica_seed)
        return Splits(
            train=self._samples(pool, chosen.train),
            val=self._samples(pool, chosen.val),
            test=self._samples(test, chosen.test),
        )

    @property
    def _gray_step(self) -> float:
        return len(_STD) / sum(_STD) if self.normalization == "standardize" else 1.0

    def _samples(self, images: ImageArrays, indices: Int[Tensor, " chosen"]) -> PixelSamples:
        is_standard = self.normalization == "standardize"
        scale = PixelScale.standard(_MEAN, _STD) if is_standard else PixelScale.unit()
        return PixelSamples(
            pixels=images.pixels[indices], targets=images.targets[indices], scale=scale
        )
