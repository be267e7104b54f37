"""A driver that is killed at the worst moments, one after the other, in one study."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import (
    assert_equals_uninterrupted,
    assert_only_whole_trials_complete,
)

pytestmark = pytest.mark.extended

# Function, before or after, and number of the call at which the driver is killed.
CRASH_POINTS = [
    # In a creation: the point is sampled and not stored, and stored without an answer.
    ("study.storage.optuna_bulk:BulkTables.add_trial", "before", 2),
    ("study.storage.optuna_bulk:BulkTables.add_trial", "after", 1),
    # After the line of a report, before its database.
    ("study.storage.trial_store:TrialStore.report", "before", 2),
    # In the write of any durable file: checkpoints, reports, attempts, outcomes.
    ("os:fsync", "before", 9),
    # Before the outbox stored records.
    ("study.tracking.outbox:Outbox.put", "before", 5),
    # Between the last report of a trial and its end, and between its end and the tell.
    ("study.engine.coordinator:write_outcome", "before", 1),
    ("study.engine.coordinator:write_outcome", "after", 1),
    ("study.storage.optuna_bulk:BulkTables.end_trial", "before", 1),
    ("study.storage.optuna_bulk:BulkTables.end_trial", "after", 1),
]


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
@pytest.mark.timeout(1800)
def test_a_study_survives_a_kill_at_every_crash_point(
    shell, uninterrupted: dict[str, Any], database: str | None
) -> None:
    inline = shell("inline")
    inline.database = database
    for where, when, count in CRASH_POINTS:
        process = inline.start_dying(where, when, count, "run", "tiny.yaml")
        assert process.wait(600) == -signal.SIGKILL, f"{where} {when}: {inline.last_line()}"
        if (inline.study / "trials").exists():
            assert_only_whole_trials_complete(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(inline, uninterrupted)
    attempts = [
        json.loads(line)
        for path in inline.study.glob("trials/*/*/*/attempts.jsonl")
        for line in path.read_text().splitlines()
    ]
    # It was killed in a trial more than once, and continued from checkpoints.
    assert any(attempt["from_epoch"] > 0 for attempt in attempts)
