"""Ordinary training: the baseline of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.draws import Draws


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
        draws: Draws,  # noqa: ARG002
    ) -> Batch:
        """Give the batch back unchanged."""
        return batch
