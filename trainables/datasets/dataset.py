"""The base class of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.decoding import record


@record
class Dataset(ABC):
    """A source of samples and their splits, as settings."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """Facts known before reading."""

    @property
    def description(self) -> str:
        """Name of the dataset in results, with settings that change its samples."""
        return self.name

    @property
    def source_name(self) -> str:
        """Name of the data that it reads, whatever settings it reads them with."""
        return self.name

    @property
    def is_per_replica(self) -> bool:
        """Whether every replica draws training samples of its own."""
        return getattr(self, "subset", "fixed") == "per_replica"

    @property
    def training_size(self) -> int | None:
        """Number of training samples, or None if it is known only after reading."""
        return None

    def provenance(self, folders: DataFolders) -> str | None:  # noqa: ARG002 (other datasets)
        """Return how the data differ from the published ones; None if they do not."""
        return None

    @abstractmethod
    def check(self, folders: DataFolders) -> None:
        """Check the settings against the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """

    @abstractmethod
    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split.

        Args:
            folders: Data root and cache.
            replica_seed: Seed of the replica, for replicas that draw their own subset.
        """
