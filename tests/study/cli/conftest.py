"""Fixtures of the command line's tests: a clean environment, and a created study."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli import main
from study.storage.atomic_write import write_atomic
from study.storage.layout import Manifest, StorageRoot, StudyFolder

STUDY = """
name: mine
defaults: {dataset: digits, model: vgg11, search: {trials: 4, space: {top_k: {high: 5}}}}
arms:
  - {method: base}
  - {method: challenger, sensitivity: [{over: top_k, values: [1, 5]}]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CliResult:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    """Work in an empty folder, at a fixed width, with no setting from outside."""
    for name in list(os.environ):
        if name.startswith(("CHALLENGER_", "MLFLOW_", "RAY_ADDRESS")) or name == "UV":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def run_cli(capsys):
    """Return a function that runs a command line in this process."""

    def run_cli(*arguments: str) -> CliResult:
        capsys.readouterr()
        code = main.run(list(arguments))
        said = capsys.readouterr()
        return CliResult(code=code, out=said.out, err=said.err)

    return run_cli


@pytest.fixture
def created_study(tmp_path) -> StudyFolder:
    """Return the folder of a created study without trials."""
    folder = StorageRoot(root=tmp_path / "challenger-studies").study("mine")
    write_atomic(folder.spec, STUDY)
    manifest = Manifest(
        name="mine",
        metric="val/accuracy",
        direction="maximize",
        search={"base": 0, "challenger": 4},
        final={"base": 1, "challenger": 2},
    )
    write_atomic(folder.manifest, manifest.encode())
    return folder


def files_below(root: Path) -> dict[str, bytes]:
    """Read all files below a folder, but for what SQLite keeps."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".db" not in path.name
    }
