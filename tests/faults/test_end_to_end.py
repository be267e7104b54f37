"""The command as a user runs it: a real study under real faults, which must end whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.process import command_line, processes, session_pids
from tests.faults.mlflow_checks import CHECKS

pytestmark = [pytest.mark.slow, pytest.mark.ray]


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """Start the command with a home of its own."""
    with (folder / "stderr").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults", *arguments],
            env={**os.environ, "HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def output(folder: Path) -> str:
    return (folder / "stderr").read_text(encoding="utf-8")


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.1)


# Faults for a minute and a half, and then the study's own end: ten minutes on an idle machine.
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def test_a_study_ends_whole(database: str, tmp_path: Path) -> None:
    arguments = ("--minutes", "1.5", "--seed", "0", "--database", database, "--json")
    process = start(*arguments, folder=tmp_path)
    out, _ = process.communicate()
    assert out, output(tmp_path)
    result = json.loads(out)
    assert [check for check in result["checks"] if not check["is_ok"]] == [], output(tmp_path)
    assert process.returncode == 0
    assert [check["name"] for check in result["checks"]] == [*CHECKS, "processes left"]
    injected = {kind for kind, counts in result["costs"]["faults"].items() if counts["done"]}
    assert {"database", "driver", "node"} <= injected
    assert result["costs"]["driver_starts"] > 1
    assert "everything is kept" not in output(tmp_path)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_everything_that_was_started(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = start("--minutes", "5", folder=tmp_path)
    assert process.stdout is not None
    first = process.stdout.readline()
    root = first.removesuffix(" …\n").rpartition(" in ")[2]
    # The nodes of Ray, MLflow's server and the driver.
    wait_until(lambda: sum(root in command_line(each.pid) for each in processes()) > 9, 300)
    process.send_signal(number)
    process.stdout.close()
    assert process.wait(120) == 130
    assert output(tmp_path).split("\n") == [
        f"everything is kept in {root}",
        "",
        "interrupted.",
        "",
    ]
    shutil.rmtree(root)
    wait_until(lambda: session_pids(process.pid) == (), 30)
    wait_until(lambda: not any(root in command_line(each.pid) for each in processes()), 30)
