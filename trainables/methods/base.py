"""Ordinary training: the baseline of every comparison, and the control of fine-tuning."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.decoding import record
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG


@record
class Base(Method):
    """Leave every batch as it is."""

    name: ClassVar[str] = "base"
    label: ClassVar[str] = "Base"

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002
    ) -> Batch:
        """Give the batch back unchanged."""
        return batch


@record
class BaseFinetune(Method):
    """Leave every batch as it is, and take as many extra steps as the methods beside it.

    What fine-tuning alone gains, which a method that starts from a trained Base model must
    exceed; the paper compares with the Base model itself, which has had fewer steps. Needs
    ``start_from: base``.
    """

    name: ClassVar[str] = "base_finetune"
    label: ClassVar[str] = "Base, fine-tuned"

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002
    ) -> Batch:
        """Give the batch back unchanged."""
        return batch
