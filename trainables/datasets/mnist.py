"""MNIST: 60,000 training and 10,000 test digits, read by torchvision from the data root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.data_files import dataset_folder
from trainables.datasets.handwriting import handwriting_info, handwriting_samples
from trainables.datasets.image_settings import ImageSettings
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist(ImageSettings):
    """Full MNIST, or a subset of any size.

    Training and validation samples come from the 60,000, test samples from the 10,000. The data
    root holds torchvision's files as they are downloaded: ``mnist/MNIST/raw/*.gz``.
    """

    name: ClassVar[str] = "mnist"
    val_size: int = 5000
    test_size: int | None = None

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading."""
        return handwriting_info(self)

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
        train = handwriting_samples(*read_digits(home, folders.cache, is_train=True), self)
        test = handwriting_samples(*read_digits(home, folders.cache, is_train=False), self)
        return self.split(train, test, replica_seed)
