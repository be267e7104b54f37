"""The base class of methods."""

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
    """A change of batches before a training step, as settings.

    A class has a ``name`` for study files and a ``label`` for figures. The annotations of its
    fields (see :mod:`trainables.fields`) are its search space.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @property
    def passes(self) -> float:
        """Passes over a batch, forward and backward, of a training step, its own included."""
        return 1.0

    def check(self, info: DatasetInfo) -> None:  # noqa: B027 (a method may accept every dataset)
        """Accept every dataset.

        Raises:
            ConfigError: If the settings do not fit it; the message starts with the setting.
        """

    def idle_reason(self, batch_size: int) -> str | None:  # noqa: ARG002 (other methods)
        """Return why a batch of that size would be left as it is; None if it is changed."""
        return None

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: ReplicaRNG) -> Batch:
        """Change a shuffled batch of one or several replicas."""
