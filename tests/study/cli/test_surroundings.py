"""Terminals, encodings and environments in which the program runs as a real process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest

from study.storage.layout import StorageRoot
from tests.support.simulated import study_text

pytestmark = pytest.mark.service

Command: TypeAlias = tuple[str, ...]
PROGRAM = Path(sys.executable).with_name("challenger-study")
TINY = study_text(arms=[{"method": "base"}], epochs=1)


def run(
    folder: Path, *arguments: str, shell: str = "", **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run the program with a changed environment, where None removes a variable.

    Args:
        folder: Working folder.
        arguments: The command line.
        shell: What follows the command in a line of bash.
        changes: Changed variables.
    """
    line = f"{shlex.join([str(PROGRAM), *arguments])} {shell}"
    environment = {**os.environ, **changes}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env={key: value for key, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        errors="replace",
    )


@pytest.fixture
def study(tmp_path: Path) -> Command:
    """Write a study of seconds; return the arguments that run it inline."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return ("run", "tiny.yaml", "--executor", "inline", "--storage", "st")


def ended(folder: Path) -> bool:
    return StorageRoot(root=folder / "st").study("tiny").path.joinpath("report").is_dir()


SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "ASCII": {
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
        "HOME": None,
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
        **{"MLFLOW_EXPERIMENT_NAME": "x", "MLFLOW_RUN_ID": "y"},
    },
    "latin-1": {
        "PYTHONIOENCODING": "latin-1",
        **{"PYTHONOPTIMIZE": "2", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7"},
    },
}


@pytest.mark.extended
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_study_runs_whatever_surrounds_it(tmp_path: Path, study: Command, name: str) -> None:
    done = run(tmp_path, *study, **SURROUNDINGS[name])
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr[-2000:]
    assert "report: " in done.stdout
    assert ended(tmp_path)


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        ("| head -1", 0, ""),
        (
            "> /dev/full",
            2,
            "Error: standard output could not be written: No space left on device.",
        ),
        (">&-", 0, ""),
    ],
)
def test_an_output_that_fails_ends_no_study(
    tmp_path: Path, study: Command, shell: str, code: int, said: str
) -> None:
    done = run(tmp_path, *study, shell=shell)
    assert (done.returncode, done.stderr.strip()) == (code, said)
    assert ended(tmp_path)


@pytest.mark.extended
def test_modules_of_the_working_folder_are_not_taken_for_ours(
    tmp_path: Path, study: Command
) -> None:
    for name in ("trainables", "study", "numpy", "cluster"):
        (tmp_path / f"{name}.py").write_text("raise ZeroDivisionError\n", encoding="utf-8")
    done = run(tmp_path, *study)
    assert done.returncode == 0, done.stderr[-2000:]
    assert ended(tmp_path)


def test_a_foreign_package_in_the_place_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    theirs = tmp_path / "cluster" / "__init__.py"
    theirs.write_text("raise ZeroDivisionError\n", encoding="utf-8")
    done = run(tmp_path, "--help", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: package 'cluster' ({theirs}) is not challenger-study's")


def test_an_address_of_the_environment_is_named_as_such(tmp_path: Path, study: Command) -> None:
    command = [word for word in study if word not in ("--executor", "inline")]
    done = run(tmp_path, *command, RAY_ADDRESS="127.0.0.1:9")
    assert done.returncode == 2
    assert "The address is that of the variable RAY_ADDRESS; unset it" in done.stderr
    assert "RAY_ADDRESS" not in run(tmp_path, *command, "--address", "127.0.0.1:9").stderr
