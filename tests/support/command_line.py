"""Shared parts of command lines' tests: an option of test equipment, and fixtures."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from study.cli.main import cli, run


def database_kind_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--database``: the kind of a database that is made for the command alone."""
    return click.option(
        "--database",
        type=click.Choice(["sqlite", "postgresql"]),
        default="sqlite",
        show_default=True,
        help="Optuna database; PostgreSQL must be installed, and is started for this alone.",
    )(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class CliResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in an empty folder, at a fixed width, with no setting from outside."""
    for name in list(os.environ):
        if name.startswith(("CHALLENGER_", "MLFLOW_", "RAY_ADDRESS")) or name == "UV":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def caller(
    capsys: pytest.CaptureFixture[str],
    command: click.Command = cli,
    program: str = "challenger-study",
) -> Callable[..., CliResult]:
    """Return a function that runs a command line in this process."""

    def call(*arguments: str) -> CliResult:
        capsys.readouterr()
        code = run(list(arguments), command, program)
        output = capsys.readouterr()
        return CliResult(code=code, out=output.out, err=output.err)

    return call
