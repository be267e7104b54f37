"""How much of the spread between trials is noise of their replicas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from study.sensitivity.replicas import ReplicaValues


def noise_variance(trials: Sequence[ReplicaValues]) -> float | None:
    """Estimate the variance that the replicas' noise gives to a trial's mean.

    It is the mean over trials of the variance over the replicas, divided by their number R. A
    seed that does well in every trial is no noise between trials: it moves them all. So where
    all trials share their seeds, each seed's mean over the trials is taken away first; what is
    left is then the noise alone, and without that it would be too large.

    Args:
        trials: One metric of each trial.

    Returns:
        In the unit of the metric squared, or None if a trial has a single replica.
    """
    if any(len(trial.values) < 2 for trial in trials):
        return None
    if len({trial.seeds for trial in trials}) > 1 or len(trials) < 2:
        return float(np.mean([np.var(t.values, ddof=1) / len(t.values) for t in trials]))
    values = np.array([trial.values for trial in trials])
    n, replicas = values.shape
    centred = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((centred**2).sum() / ((n - 1) * (replicas - 1)) / replicas)
