"""Fixtures of the command line's tests: a bare environment, and a study begun by hand."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli import main
from study.files import write_whole
from study.store.folder import Storage, StudyFolder
from study.store.manifest import Manifest

STUDY = """
name: mine
defaults: {dataset: digits, model: vgg11, search: {trials: 4, space: {top_k: {high: 5}}}}
arms:
  - {method: base}
  - {method: challenger, sensitivity: [{over: top_k, values: [1, 5]}]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
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
def call(capsys):
    """Give a function that runs a command line in this process."""

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main.run(list(arguments))
        said = capsys.readouterr()
        return Ended(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture
def begun(tmp_path) -> StudyFolder:
    """Give the folder of a study that was begun and in which no trial was asked for yet."""
    folder = Storage(root=tmp_path / "challenger-studies").study("mine")
    write_whole(folder.spec, STUDY)
    manifest = Manifest(
        name="mine",
        metric="val/accuracy",
        direction="maximise",
        search={"base": 0, "challenger": 4},
        final={"base": 1, "challenger": 2},
    )
    write_whole(folder.manifest, manifest.encode())
    return folder


def files_below(root: Path) -> dict[str, bytes]:
    """Read all files below a folder, but for what SQLite keeps."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".db" not in path.name
    }
