"""Data that a process's trials share: those of a phase have the same datasets and seeds."""

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
    """Load a dataset for some seeds, or give what the trial before had of them.

    Replicas that train on the same samples get the same tensors: nobody may write to them. What
    this trial does not need is let go, so that a process never holds more than one trial does.

    Args:
        dataset: The dataset.
        folders: Where it is read from.
        seeds: The replicas' seeds.
        device: Where it shall lie.

    Returns:
        Splits by seed.

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
