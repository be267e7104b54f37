"""Splits that successive trials of one process share: a phase has one dataset and its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainables.datasets import DataFolders, DatasetConfig, Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class _SplitsKey:
    dataset: DatasetConfig
    folders: DataFolders
    seed: int | None
    device: torch.device


_cache: dict[_SplitsKey, Splits] = {}


def load_cached_splits(
    dataset: DatasetConfig, folders: DataFolders, seeds: Sequence[int], device: torch.device
) -> tuple[Splits, ...]:
    """Return the splits of a dataset for each seed, cached from the trial before where equal.

    Replicas that train on the same samples share their tensors, which are read-only. Splits that
    this trial does not need are freed, so that a process holds those of one trial at most.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    keys = [
        _SplitsKey(
            dataset=dataset,
            folders=folders,
            seed=seed if dataset.is_per_replica else None,
            device=device,
        )
        for seed in seeds
    ]
    for key in _cache.keys() - set(keys):
        del _cache[key]
    for key, seed in zip(keys, seeds, strict=True):
        if key not in _cache:
            _cache[key] = dataset.load(folders, seed).to(device)
    return tuple(_cache[key] for key in keys)
