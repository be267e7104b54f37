"""Fixtures of the tests of fault injection: its command line, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.__main__ import PROGRAM, command
from tests.support.command_line import CliResult, bare_environment, caller

__all__ = ["bare_environment"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    """Return a function that runs the command line in this process."""
    return caller(capsys, command, PROGRAM)
