"""Independent random streams, each a pure function of a seed and a purpose.

Every epoch derives its own streams, so that a resumed trial draws the same numbers as an
uninterrupted one without stored generator states.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

# Enough for any generator, and exact in JSON and in SQL integers.
_SEED_BITS = 48


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive the seed of one stream; different purposes give unrelated streams.

    Args:
        seed: Any integer.
        purpose: Name of the stream, from the general to the particular.

    Returns:
        An integer in [0, 2**48).

    Example:
        >>> derive_seed(0, "shuffling", 1) == derive_seed(0, "shuffling", 1)
        True
        >>> derive_seed(0, "shuffling", 1) == derive_seed(0, "shuffling", 2)
        False
    """
    text = json.dumps([seed, *purpose])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[: _SEED_BITS // 8], "big")


def stream(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the generator of one stream on a device."""
    # Reports derive seeds too, without torch, whose import takes seconds.
    import torch

    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


@contextmanager
def seeded_global_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch (CPU and ``device``) and numpy, and restore them.

    For libraries that take no generator.
    """
    import torch

    devices = [device] if device.type == "cuda" else []
    before = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            # Not torch.manual_seed, which also seeds devices that are not restored.
            torch.default_generator.manual_seed(seed)
            for one in devices:
                with torch.cuda.device(one):
                    torch.cuda.manual_seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        np.random.set_state(before)
