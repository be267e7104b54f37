"""The four families of models on data of the shapes that the papers trained them on.

The data are noise: what a step computes does not depend on its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.batch import Batch, Labels
from trainables.datasets import (
    Cifar10,
    DatasetConfig,
    DatasetInfo,
    Mnist,
    Newsgroups20,
    PtbXl,
    Splits,
)
from trainables.models import FcnWang, ModelConfig, TextCnn, Vgg11, Vgg16
from trainables.seeding import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    model: ModelConfig
    dataset: DatasetConfig


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "fcn_wang": Family(model=FcnWang(), dataset=PtbXl()),
        "text_cnn": Family(model=TextCnn(), dataset=Newsgroups20()),
        "vgg11": Family(model=Vgg11(), dataset=Mnist()),
        "vgg16": Family(model=Vgg16(), dataset=Cifar10()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedBatch:
    """Training samples of which every draw gives the same batch, made beforehand.

    A training on them takes the time of its steps, and none for what comes before them.
    """

    batch: Batch
    n_steps: int

    @property
    def targets(self) -> Labels:
        return self.batch.targets

    def __len__(self) -> int:
        return self.n_steps * len(self.batch)

    def take(self, indices: Int[Tensor, " chosen"]) -> FixedBatch:
        del indices
        return self

    def to(self, device: torch.device) -> FixedBatch:
        assert self.batch.inputs.device == device
        return self

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        del indices, generator
        return self.batch

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch channel *grid"]:
        del indices
        return self.batch.inputs[None]

    def valid_mask(
        self, indices: Int[Tensor, " chosen"]
    ) -> Bool[Tensor, "view batch first *rest"] | None:
        del indices
        return None if self.batch.valid_mask is None else self.batch.valid_mask[None]


def noise_batch(info: DatasetInfo, batch_size: int, device: torch.device) -> Batch:
    """Make a batch of noise; texts end somewhere between a tenth and the whole of their length."""
    generator = stream(0, "benchmark", batch_size)
    inputs = torch.randn(batch_size, *info.input_shape, generator=generator)
    valid_mask = None
    if info.domain == "text":
        length = info.input_shape[-1]
        ends = torch.randint(length // 10, length + 1, (batch_size, 1), generator=generator)
        valid_mask = torch.arange(length) < ends
        inputs = inputs * valid_mask[:, None]
    targets = _noise_targets(info, batch_size, generator)
    return Batch(
        inputs=inputs.to(device),
        targets=targets.to(device),
        valid_mask=None if valid_mask is None else valid_mask.to(device),
    )


def fixed_splits(batch: Batch, n_steps: int) -> Splits:
    """Make splits of which an epoch takes some steps on one batch."""
    samples = FixedBatch(batch=batch, n_steps=n_steps)
    return Splits(train=samples, val=samples, test=samples)


def _noise_targets(info: DatasetInfo, batch_size: int, generator: torch.Generator) -> Labels:
    if info.is_multi_label:
        chances = torch.rand(batch_size, info.n_classes, generator=generator)
        return (chances < 0.3).float()
    return torch.randint(info.n_classes, (batch_size,), generator=generator)
