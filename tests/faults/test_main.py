"""The output, exit codes and files of ``python -m tests.faults``, with a run made up here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable

import pytest

from cluster.errors import ClusterError
from tests.faults import run
from tests.faults.checks import check_equal
from tests.faults.event_log import FaultCosts, FaultCounts
from tests.faults.run import FaultRunConfig, FaultRunResult
from tests.faults.schedule import FAULT_KINDS

COSTS = FaultCosts(
    faults={kind: FaultCounts(done=2, survived=1, skipped=3) for kind in FAULT_KINDS},
    driver_starts=4,
    trials=12,
    attempts=15,
    most_attempts=3,
    epochs=400,
    epochs_redone=10,
)
CLEAN = FaultRunResult(checks=(check_equal("trials told", 12, 12),), costs=COSTS)
DIFFERENT = FaultRunResult(
    checks=(*CLEAN.checks, check_equal("outbox", "[0]", "[1]")), costs=COSTS
)


@pytest.fixture
def configs(monkeypatch, tmp_path) -> list[FaultRunConfig]:
    """Return the configurations of runs, whose temporary folders are in the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return []


@pytest.fixture
def ends(monkeypatch, configs) -> Callable[[FaultRunResult | BaseException], None]:
    """Return a function that sets how the run will end."""

    def ends(how: FaultRunResult | BaseException) -> None:
        def made_up(config: FaultRunConfig, on_event: Callable[[str], None]) -> FaultRunResult:
            configs.append(config)
            (config.root / "file").write_text("x")
            on_event("     2 s  worker: killed [bold]process[/] 7")
            if isinstance(how, BaseException):
                raise how
            return how

        monkeypatch.setattr(run, "run_faults", made_up)

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
    assert "│ ✓ │ trials told │ 12       │ 12    │" in lines


def test_a_difference_ends_with_1_is_shown_and_everything_is_kept(call, ends, configs):
    ends(DIFFERENT)
    ended = call("--minutes", "0.5", "--seed", "7", "--database", "postgresql")
    assert ended.code == 1
    assert ended.err == f"everything is kept in {configs[0].root}\n"
    assert (configs[0].seconds, configs[0].seed, configs[0].database) == (30, 7, "postgresql")
    assert (configs[0].root / "file").exists()
    assert "│ ✗ │ outbox      │ [0]      │ [1]   │" in ended.out
    assert ended.out.endswith("1 of 2 checks failed\n")


def test_a_named_folder_is_kept_and_must_be_empty(call, ends, configs, tmp_path):
    ends(CLEAN)
    folder = tmp_path / "new" / "folder"
    assert call("--folder", str(folder)).err == f"everything is kept in {folder}\n"
    assert (folder / "file").exists()
    ended = call("--folder", str(folder))
    assert ended.code == 2
    assert f"--folder must name an empty folder, but {folder} holds something" in ended.err
    assert len(configs) == 1


def test_json_alone_goes_to_stdout(call, ends):
    ends(DIFFERENT)
    ended = call("--json")
    assert ended.code == 1
    audit = json.loads(ended.out)
    assert audit["is_clean"] is False
    assert audit["checks"][1] == {
        "name": "outbox",
        "expected": "[0]",
        "found": "[1]",
        "is_ok": False,
    }
    assert audit["costs"]["faults"]["worker"] == {"done": 2, "survived": 1, "skipped": 3}
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
