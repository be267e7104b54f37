"""Ordinary training: the baseline of all comparisons, and the control of fine-tuning."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.decoding import record
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG


@record
class Base(Method):
    """Ordinary training on unchanged batches."""

    name: ClassVar[str] = "base"
    label: ClassVar[str] = "Base"

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002
    ) -> Batch:
        """Return the batch unchanged."""
        return batch


@record
class BaseFinetune(Method):
    """Further training of a Base model on unchanged batches: the control of fine-tuning.

    It takes as many extra steps as the methods that start from a trained Base model, and they
    must exceed it; the paper compares with the Base model itself, which had fewer steps. Needs
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
        """Return the batch unchanged."""
        return batch
