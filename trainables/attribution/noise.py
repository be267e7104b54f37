"""Noisy points around a sample, and noise that depends on its seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from trainables.checks import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How many noisy points are taken per sample.

    The noise depends on ``seed`` and on the place of a sample in the batch, not on the samples:
    equal batches give equal results, and since batches are shuffled a sample meets another
    noise in every epoch.

    Attributes:
        n_samples: Points per sample, at least 1.
        noise: Standard deviation σ ≥ 0 of the Gaussian noise, in units of the model's inputs.
        seed: Seed of the noise, in [0, 2³²).
    """

    n_samples: int = 10
    noise: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_samples >= 1, "n_samples", "must be at least 1", self.n_samples)
        require(self.noise >= 0, "noise", "must be 0 or more", self.noise)
        require(0 <= self.seed < 2**32, "seed", "must lie in [0, 2**32)", self.seed)


@contextmanager
def seeded_globals(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's and numpy's global generators, and give them their state back at the end.

    For libraries that take no generator. Of torch's, those of the CPU and of ``device`` are
    seeded.
    """
    devices = [device] if device.type == "cuda" else []
    before = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            # Not torch.manual_seed, which also seeds devices that are not put back.
            torch.default_generator.manual_seed(seed)
            for one in devices:
                with torch.cuda.device(one):
                    torch.cuda.manual_seed(seed)
            np.random.seed(seed)
            yield
    finally:
        np.random.set_state(before)
