"""Ordinary training: the baseline of every comparison, and the control of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.replica_rng import ReplicaRNG


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Leave every batch as it is."""

    name: ClassVar[str] = "base"

    def check(self, info: DatasetInfo) -> None:
        """Accept every dataset."""

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002
    ) -> Batch:
        """Give the batch back unchanged."""
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFinetune:
    """Leave every batch as it is, and take as many extra steps as the methods beside it.

    What fine-tuning alone gains, which a method that starts from a trained Base model must
    exceed; the paper compares with the Base model itself, which has had fewer steps. Needs
    ``start_from: base``.
    """

    name: ClassVar[str] = "base_finetune"

    def check(self, info: DatasetInfo) -> None:
        """Accept every dataset."""

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002
    ) -> Batch:
        """Give the batch back unchanged."""
        return batch
