"""Fixtures of the command line's tests: a clean environment, and a created study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from study.storage.atomic_write import write_atomic
from study.storage.json_record import checksum
from study.storage.layout import Manifest, StorageRoot, StudyFolder, write_manifest
from tests.support.command_line import CliResult, bare_environment, caller

__all__ = ["bare_environment"]

STUDY = """
name: mine
defaults: {dataset: digits, model: vgg11, search: {trials: 4, space: {top_k: {high: 5}}}}
arms:
  - {method: base}
  - {method: challenger, sensitivity: [{over: top_k, values: [1, 5]}]}
"""


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    """Return a function that runs a command line in this process."""
    return caller(capsys)


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
        study=checksum(STUDY.encode()),
    )
    write_manifest(folder.manifest, manifest)
    return folder


def files_below(root: Path) -> dict[str, bytes]:
    """Read all files below a folder, but for what SQLite keeps."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".db" not in path.name
    }
