"""Fixtures of the trainables' tests: one thread, and real digits decoded once."""

from __future__ import annotations

import pytest
import torch

from trainables.datasets import DataFolders, Digits, Splits


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small networks are faster on one thread, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded_globally():
    """Seed the global generator, from which the tests' own weights and inputs are drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> DataFolders:
    """Return folders without a data root and with a cache of this session."""
    return DataFolders(root=None, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits(folders) -> Splits:
    """Load the embedded default as it comes: 30 training digits."""
    return Digits().load(folders, 0)
