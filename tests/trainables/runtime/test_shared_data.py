"""Trials of a process share what they train on, and none holds more than it needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainables.datasets import DataFolders, Digits, Splits
from trainables.runtime import shared_data
from trainables.runtime.shared_data import load_cached_splits

CPU = torch.device("cpu")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the seeds that a dataset is really loaded for."""
    seeds: list[int] = []
    load = Digits.load

    def counted(self: Digits, folders: DataFolders, replica_seed: int) -> Splits:
        seeds.append(replica_seed)
        return load(self, folders, replica_seed)

    monkeypatch.setattr(Digits, "load", counted)
    monkeypatch.setattr(shared_data, "_cache", {})
    return seeds


OWN = Digits(train_per_class=1, subset="per_replica")


def test_trials_of_the_same_data_and_seeds_load_it_once(
    folders: DataFolders, loads: list[int]
) -> None:
    first = load_cached_splits(OWN, folders, (4, 7), CPU)
    again = load_cached_splits(replace(OWN), folders, (7, 4), CPU)
    assert loads == [4, 7]
    assert again[0] is first[1]
    assert again[1] is first[0]


def test_replicas_that_train_on_the_same_samples_have_the_same_tensors(
    folders: DataFolders, loads: list[int]
) -> None:
    first, second = load_cached_splits(Digits(train_per_class=1), folders, (4, 7), CPU)
    assert first is second
    assert loads == [4]


def test_what_a_trial_does_not_need_is_let_go(folders: DataFolders, loads: list[int]) -> None:
    load_cached_splits(OWN, folders, (4, 7), CPU)
    load_cached_splits(OWN, folders, (7, 9), CPU)
    assert loads == [4, 7, 9]
    load_cached_splits(replace(OWN, train_per_class=2), folders, (7,), CPU)
    assert len(shared_data._cache) == 1
    load_cached_splits(OWN, folders, (7,), CPU)
    assert loads == [4, 7, 9, 7, 7]
