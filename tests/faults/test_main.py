"""``chaos``: what it prints, how it ends, and what it keeps; its runs are made up here."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from tests.faults import run as fault_run
from tests.faults.checks import check_equal
from tests.faults.event_log import FaultCosts, FaultCounts
from tests.faults.run import FaultRunConfig, FaultRunResult
from tests.faults.schedule import FAULT_KINDS

ACCOUNT = FaultCosts(
    faults={kind: FaultCounts(done=2, survived=1, skipped=3) for kind in FAULT_KINDS},
    driver_starts=4,
    trials=12,
    attempts=15,
    most_attempts=3,
    epochs=400,
    epochs_redone=10,
)
CLEAN = FaultRunResult(checks=(check_equal("trials told", 12, 12),), costs=ACCOUNT)
DIRTY = FaultRunResult(checks=(*CLEAN.checks, check_equal("outbox", "[0]", "[1]")), costs=ACCOUNT)


@pytest.fixture
def configs(monkeypatch, tmp_path) -> list[FaultRunConfig]:
    """Keep temporary folders in the test's own, and remember what was wished for."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return []


@pytest.fixture
def ends(monkeypatch, configs) -> Callable[[FaultRunResult | BaseException], None]:
    """Give a function that says how the run will end."""

    def ends(how: FaultRunResult | BaseException) -> None:
        def run(config: FaultRunConfig, on_event: Callable[[str], None]) -> FaultRunResult:
            configs.append(config)
            (config.root / "file").write_text("x")
            on_event("     2 s  worker: killed [bold]process[/] 7")
            if isinstance(how, BaseException):
                raise how
            return how

        monkeypatch.setattr(fault_run, "run_faults", run)

    return ends


def test_a_clean_run_ends_with_0_and_leaves_nothing(call, ends, configs):
    ends(CLEAN)
    ended = call()
    assert (ended.code, ended.err) == (0, "")
    assert (configs[0].seconds, configs[0].seed, configs[0].database) == (180, 0, "sqlite")
    assert not configs[0].root.exists()
    lines = ended.out.splitlines()
    assert lines[0] == "     2 s  worker: killed [bold]process[/] 7"
    assert lines[-1] == "nothing differs"
    assert (
        "12 trials in 15 attempts (3 at the most for one), 4 starts of the driver; 10 of 400 "
        "epochs were trained again (2.5%)"
    ) in lines
    assert "│ ✓ │ trials told        │ 12      │ 12 │" in lines


def test_a_difference_ends_with_1_is_shown_and_everything_is_kept(call, ends, configs):
    ends(DIRTY)
    ended = call("--minutes", "0.5", "--seed", "7", "--database", "postgresql")
    assert ended.code == 1
    assert ended.err == f"everything is kept in {configs[0].root}\n"
    assert (configs[0].seconds, configs[0].seed, configs[0].database) == (30, 7, "postgresql")
    assert (configs[0].root / "file").exists()
    assert "│ ✗ │ outbox             │ [0]     │ [1] │" in ended.out
    assert ended.out.endswith("1 of 2 checks failed\n")


def test_a_folder_that_was_named_is_kept(call, ends, tmp_path):
    ends(CLEAN)
    folder = tmp_path / "new" / "folder"
    ended = call("--folder", str(folder))
    assert ended.code == 0
    assert ended.err == f"everything is kept in {folder}\n"
    assert (folder / "file").exists()


def test_a_folder_that_holds_something_is_refused(call, ends, configs, tmp_path):
    ends(CLEAN)
    (tmp_path / "file").write_text("mine")
    ended = call("--folder", str(tmp_path))
    assert ended.code == 2
    assert f"--folder must name an empty folder, but {tmp_path} holds something" in ended.err
    assert configs == []


def test_json_alone_goes_to_stdout(call, ends):
    ends(DIRTY)
    ended = call("--json")
    assert ended.code == 1
    output = json.loads(ended.out)
    assert output["is_clean"] is False
    assert output["checks"][1] == {
        "name": "outbox",
        "expected": "[0]",
        "found": "[1]",
        "is_ok": False,
    }
    assert output["costs"]["faults"]["worker"] == {"done": 2, "survived": 1, "skipped": 3}
    assert ended.err.startswith("     2 s  worker: killed")


@pytest.mark.parametrize(
    ("how", "code"), [(KeyboardInterrupt(), 130), (ClusterError("no PostgreSQL"), 2)]
)
def test_a_run_that_does_not_end_keeps_everything(call, ends, configs, how, code):
    ends(how)
    ended = call()
    assert ended.code == code
    assert f"everything is kept in {configs[0].root}\n" in ended.err
    assert (configs[0].root / "file").exists()


def test_sigterm_is_an_interruption(call, ends, monkeypatch):
    ends(CLEAN)

    def run(config: FaultRunConfig, on_event: Callable[[str], None]) -> FaultRunResult:  # noqa: ARG001
        signal.raise_signal(signal.SIGTERM)
        return CLEAN

    monkeypatch.setattr(fault_run, "run_faults", run)
    assert call().code == 130


@pytest.mark.parametrize("minutes", ["0", "0.4", "-1"])
def test_too_short_a_time_is_refused(call, ends, minutes):
    ends(CLEAN)
    assert call("--minutes", minutes).code == 2


def test_an_unknown_database_is_refused(call, ends, tmp_path: Path):
    ends(CLEAN)
    ended = call("--database", "mysql")
    assert ended.code == 2
    assert list(tmp_path.iterdir()) == []
