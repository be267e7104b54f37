"""What all methods have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.replica_rng import ReplicaRNG


@record
class Method(ABC):
    """How a batch is changed before the step is taken on it, with the settings of that.

    A class has a ``name``, by which study files know it, and a ``label`` for people. What stands
    beside its fields (see :mod:`trainables.fields`) is its search space.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def check(self, info: DatasetInfo) -> None:  # noqa: B027 (a method may accept every dataset)
        """Accept every dataset.

        Raises:
            ConfigError: If the settings do not fit it; the message starts with the setting.
        """

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: ReplicaRNG) -> Batch:
        """Change a shuffled batch of one replica or of several."""
