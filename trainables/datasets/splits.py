"""Facts, folders and disjoint splits of datasets, and the drawing of splits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from trainables.datasets.samples import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Facts of a dataset that are known before it is read.

    Attributes:
        n_classes: Number of classes C.
        input_shape: Shape of one sample: channels first, then the grid.
        domain: Kind of data, which selects defaults and figures.
        background: Value of an empty input feature in units of the model's inputs, for padding.
        spread: The unit of the inputs' own scale in units of the model's inputs: one step from
            black to white for images, a standard deviation for embeddings and signals.
        is_multi_label: Whether a sample may have several classes, or none.
        has_object_mask: Whether its images know which of their pixels show the object.
    """

    n_classes: int
    input_shape: tuple[int, ...]
    domain: Literal["image", "text", "series"]
    background: float = 0.0
    spread: float = 1.0
    is_multi_label: bool = False
    has_object_mask: bool = False

    @property
    def n_features(self) -> int:
        """Number of input features D, without any padding that a model adds."""
        return math.prod(self.input_shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Disjoint training, validation and test samples."""

    train: Samples
    val: Samples
    test: Samples

    def to(self, device: torch.device) -> Splits:
        """Move to a device."""
        return Splits(
            train=self.train.to(device), val=self.val.to(device), test=self.test.to(device)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolders:
    """The data root, which may be read-only or None, and a writable folder for decoded copies."""

    root: Path | None
    cache: Path


def stratified_indices(
    targets: Int[Tensor, " sample"], size: int, generator: torch.Generator
) -> Int[Tensor, " size"]:
    """Draw ``size`` indices at random with the classes in the proportions of ``targets``.

    Quotas are rounded by largest remainders, so that equal classes stay equal whenever ``size``
    is a multiple of their number. Indices are in increasing order.
    """
    counts = torch.bincount(targets)
    exact = counts.double() * (size / len(targets))
    quotas = exact.floor().long()
    missing = size - int(quotas.sum())
    quotas[(exact - quotas).argsort(descending=True, stable=True)[:missing]] += 1
    return _sample_indices(targets, quotas, generator)


def per_class_indices(
    targets: Int[Tensor, " sample"], count: int, generator: torch.Generator
) -> Int[Tensor, " chosen"]:
    """Draw ``count`` indices of each class at random, in increasing order."""
    quotas = torch.full_like(torch.bincount(targets), count)
    return _sample_indices(targets, quotas, generator)


def _sample_indices(targets: Tensor, quotas: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(targets), generator=generator)
    shuffled = targets[order]
    chosen = [order[shuffled == label][:quota] for label, quota in enumerate(quotas.tolist())]
    return torch.cat(chosen).sort().values
