"""Independent random streams, each a pure function of a seed and of what it is for.

A stream is derived anew for every epoch, so that a trial that continues from a checkpoint
draws the same numbers as one that was never interrupted, with no generator state to store.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Enough for any generator, and exact in JSON and in SQL integers.
_SEED_BITS = 48


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive the seed of one stream; different purposes give unrelated streams.

    Args:
        seed: Any integer.
        purpose: What the stream is for, from the general to the particular.

    Returns:
        A non-negative integer below 2**48.

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
    """Make the generator of one stream on a device."""
    # Reports derive seeds too, without torch, whose import takes seconds.
    import torch

    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))
