"""The report of a study that runs: when it is renewed, what it says, and that it cannot fail."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from study.config.run_options import RunOptions
from study.engine import live_report, run
from study.engine.executors import EXECUTORS
from study.engine.live_report import LiveReport, RenewalSchedule
from study.engine.protocol import TrialAssignment
from study.storage.layout import StorageRoot, TrialKey
from study.storage.trial_store import TrialRecord
from tests.support.simulated import StudyFixture, complete, study_text

TIMEOUT_S = 300.0
# At this process' own priority: at the lowest one it waits for all other tests.
WRITER = (
    "import sys, pathlib; from study.engine.live_report import main; "
    "main(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))"
)


def ended(number: int, value: float | None, phase: str = "search", arm: str = "x") -> TrialRecord:
    return TrialRecord(
        key=TrialKey(arm=arm, phase=phase, number=number),
        state="FAIL" if value is None else "COMPLETE",
        params={},
        value=value,
        reason=None,
        started_ms=1,
        finished_ms=2,
    )


def schedule(*, n_trials: int = 100, is_maximized: bool = True) -> RenewalSchedule:
    return RenewalSchedule(
        is_maximized=is_maximized, n_trials=n_trials, interval_s=60.0, last_s=0.0
    )


def test_each_new_best_is_shown_but_no_more_often_than_the_interval():
    times = schedule()
    assert not times.is_due(100.0)
    times.add(ended(0, 0.5))
    assert not times.is_due(59.0)
    assert times.is_due(60.0)
    times.start(60.0)
    times.add(ended(1, 0.4))
    assert not times.is_due(500.0)
    times.add(ended(2, 0.6))
    times.add(ended(3, 0.1))
    assert not times.is_due(119.0)
    assert times.is_due(120.0)


@pytest.mark.parametrize(
    ("record", "is_due"),
    [
        (ended(1, 0.1), True),
        (ended(1, 0.9), False),
        (ended(1, 0.9, arm="other"), True),
        (ended(1, 0.9, phase="final"), True),
        (ended(1, 0.1, phase="confirm"), False),
        (ended(1, None), False),
    ],
    ids=["better", "worse", "of another arm", "final", "of a race", "failed"],
)
def test_news_are_better_trials_of_an_arm_and_final_ones(record, is_due):
    times = schedule(is_maximized=False)
    times.add(ended(0, 0.5))
    times.start(0.0)
    times.add(record)
    assert times.is_due(1e9) is is_due


def test_trials_that_are_no_news_are_shown_with_the_others_of_their_5_percent():
    times = schedule(n_trials=100)
    for number in range(4):
        times.add(ended(number, None))
    assert not times.is_due(1e9)
    times.add(ended(4, None))
    assert times.is_due(1e9)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def live_of(place: StudyFixture, said: list[str], *command: str) -> LiveReport:
    options = RunOptions(storage=place.storage)
    return LiveReport(
        place.spec, place.folder, options, said.append, command=command, interval_s=0.0
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), "was not renewed; "),
        (("/no/such/program",), "is not renewed: No such file or directory."),
    ],
    ids=["fails", "does not start"],
)
def test_a_report_that_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, command, message
):
    place = StudyFixture.of(tmp_path, study_text(trials=6, epochs=1))
    said: list[str] = []
    live = live_of(place, said, *command)
    coordinator = place.coordinator([live])
    while isinstance(assignment := coordinator.ask(), TrialAssignment):
        complete(coordinator, assignment)
        if command[0] == sys.executable:
            # It is looked at with the next event of a trial.
            time.sleep(0.3)
    live.stop()
    assert not coordinator.has_work()
    assert len(said) == 1
    assert message in said[0]


def test_a_process_that_still_writes_ends_with_the_run(tmp_path: Path):
    place = StudyFixture.of(tmp_path, study_text(trials=2, epochs=1))
    started = tmp_path / "started"
    script = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(600)"
    said: list[str] = []
    live = live_of(place, said, sys.executable, "-c", script)
    live.on_trial_end(ended(0, 0.5), ())
    wait_for(started.exists)
    live.on_trial_end(ended(1, 0.6), ())
    begun = time.monotonic()
    live.stop()
    assert time.monotonic() - begun < TIMEOUT_S
    assert said == []


@pytest.mark.extended
def test_it_gives_way_to_everything_else():
    script = (
        "import os, pathlib; from study.engine.live_report import lower_priority; "
        "lower_priority(); print(os.nice(0)); group = pathlib.Path('/proc/self/autogroup')\n"
        "print(group.read_text().split()[-1] if group.exists() else 19)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        start_new_session=True,
    )
    assert done.stdout.split() == ["19", "19"]


@pytest.mark.service
def test_the_report_and_mlflow_s_summary_are_readable_while_the_study_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = StorageRoot(root=tmp_path).study("tiny")
    page = folder.report / "report.html"
    seen: list[str] = []

    def note() -> str:
        """Return the experiment's note in the queue for MLflow."""
        with closing(sqlite3.connect(folder.outbox, timeout=30)) as database:
            query = "SELECT payload FROM record WHERE run_key = '' AND payload LIKE '%So far%'"
            return "".join(payload for (payload,) in database.execute(query))

    def execute(coordinator, context) -> None:  # noqa: ARG001
        while isinstance(assignment := coordinator.ask(), TrialAssignment):
            complete(coordinator, assignment)
            if assignment.key.phase == "search" and assignment.key.number == 1 and not seen:
                wait_for(lambda: page.exists() and bool(note()))
                seen.append(page.read_text(encoding="utf-8"))

    monkeypatch.setitem(EXECUTORS, "inline", execute)
    monkeypatch.setattr(live_report, "LEAST_INTERVAL_S", 0.0)
    monkeypatch.setattr(live_report, "COMMAND", (sys.executable, "-P", "-c", WRITER))
    options = RunOptions(storage=StorageRoot(root=tmp_path), executor="inline")
    text = study_text(trials=4, epochs=1)
    result = run.run_study(text, "study.yaml", options, Console(quiet=True))
    assert result.is_finished
    assert "So far: no test result yet; best validation accuracy of the searches" in seen[0]
    assert "Still to end of the final trials: " in seen[0]
    assert "so far, 20" in seen[0]
    last = page.read_text(encoding="utf-8")
    assert "So far" not in last
    assert "Still to end" not in last
    assert not note()
    assert replace(result.table, open=()) == result.table
