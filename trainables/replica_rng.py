"""Random numbers for the replicas of a joint batch, each replica's from its own stream.

A joint batch interleaves the samples of several replicas: the first of each, then the second of
each, and so on. Its first rows are the first samples of every replica, so that operations on
single samples need not handle replicas. The draws of a single replica are those of its generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ReplicaRNG:
    """One generator per replica, all on one device.

    Shapes are those of the joint batch. Every replica draws its own rows, as many as the others,
    in the order in which it would draw them alone.
    """

    generators: tuple[torch.Generator, ...]

    @classmethod
    def of(cls, *generators: torch.Generator) -> ReplicaRNG:
        """Return a source with one replica per generator."""
        return cls(generators)

    @property
    def n_replicas(self) -> int:
        """Number of replicas."""
        return len(self.generators)

    @property
    def device(self) -> torch.device:
        """Device of the numbers."""
        return self.generators[0].device

    def rand(
        self, *shape: int, batch_dim: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, ...]:
        """Draw uniform numbers from [0, 1); ``batch_dim`` is the dimension of the samples."""

        def draw(generator: torch.Generator, part: list[int]) -> Tensor:
            return torch.rand(part, generator=generator, device=self.device, dtype=dtype)

        return self._interleave(draw, list(shape), batch_dim)

    def randint(self, high: int, *shape: int) -> Int[Tensor, ...]:
        """Draw integers in [0, high); the samples are the first dimension."""

        def draw(generator: torch.Generator, part: list[int]) -> Tensor:
            return torch.randint(high, part, generator=generator, device=self.device)

        return self._interleave(draw, list(shape), 0)

    def randperm(self, rows: int) -> Int[Tensor, " rows"]:
        """Draw a permutation of the rows that keeps every row within its replica."""
        count = rows // self.n_replicas
        own = [torch.randperm(count, generator=g, device=self.device) for g in self.generators]
        if len(own) == 1:
            return own[0]
        return torch.stack([each * len(own) + r for r, each in enumerate(own)], dim=1).flatten()

    def _interleave(
        self,
        draw: Callable[[torch.Generator, list[int]], Tensor],
        shape: list[int],
        batch_dim: int,
    ) -> Tensor:
        shape[batch_dim] //= self.n_replicas
        own = [draw(generator, shape) for generator in self.generators]
        if len(own) == 1:
            return own[0]
        return torch.stack(own, dim=batch_dim + 1).flatten(batch_dim, batch_dim + 1)
