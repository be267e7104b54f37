"""Fixtures of the benchmarks' tests: one thread, fixed seeds, the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from tests.benchmarks.__main__ import PROGRAM
from tests.benchmarks.study_commands import command
from tests.support.command_line import CliResult, bare_environment, caller

__all__ = ["bare_environment"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Train on one thread, on which small networks are faster and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded_globally() -> Iterator[None]:
    """Seed the global generator, from which weights and inputs are drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    return caller(capsys, command, PROGRAM)
