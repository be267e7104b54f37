"""Trials in classes by their place on an axis: what estimators from given data average within."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Dimension


def class_edges(axis: Dimension, x: Float[np.ndarray, " trial"]) -> Float[np.ndarray, " edge"]:
    """Give the ranks between which trials form one class.

    Classes of equal size along an axis, as many as SALib takes (Plischke et al., 2013); of
    choices, and of axes with fewer values than that, one class per value.
    """
    _, counts = np.unique(x, return_counts=True)
    classes = _classes(len(x))
    if isinstance(axis, CategoricalDimension) or len(counts) <= classes:
        return np.concatenate(([0.0], np.cumsum(counts)))
    return np.linspace(0, len(x), classes + 1)


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which SALib draws from, and give it back as it was."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _classes(trials: int) -> int:
    # SALib computes it inside its analyze.
    exponent = 2.0 / (7.0 + np.tanh((1500.0 - trials) / 500.0))
    return int(np.round(min(int(np.ceil(trials**exponent)), 48)))
