"""What all datasets have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.decoding import record


@record
class Dataset(ABC):
    """Where samples come from and how they are split, as settings."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """What is known before reading."""

    @property
    def description(self) -> str:
        """Name of the dataset with what decides what its samples are, for results."""
        return self.name

    @property
    def is_per_replica(self) -> bool:
        """Whether every replica draws training samples of its own."""
        return getattr(self, "subset", "fixed") == "per_replica"

    def provenance(self, folders: DataFolders) -> str | None:  # noqa: ARG002 (other datasets)
        """Return what a result must say of the data at hand; None if they are as published."""
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
            folders: Where the data are.
            replica_seed: Seed of the replica; matters where every replica draws its own subset.
        """
