"""The line by which whoever started a driver elsewhere knows that it found all in order."""

from __future__ import annotations

from typing import Final

READY: Final = "all nodes are ready to train"


def ready(n_nodes: int) -> str:
    """Say that every node can train.

    Example:
        >>> ready(3)
        'all nodes are ready to train: 3'
    """
    return f"{READY}: {n_nodes}"
