"""A driver that is killed at the worst moments there are, one after the other, in one study."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import (
    assert_as_if_nothing_had_been,
    assert_only_whole_or_untold_trials,
)

# Where, before or after, and at which call the driver dies.
DEATHS = [
    # In the middle of asking: the point is drawn and not stored, and stored without an answer.
    ("study.storage.optuna_bulk:BulkTables.add_trial", "before", 2),
    ("study.storage.optuna_bulk:BulkTables.add_trial", "after", 1),
    # After the line of a report, before its database.
    ("study.storage.trial_store:TrialStore.report", "before", 2),
    # In the middle of any file that must be durable: checkpoints, reports, attempts, ends.
    ("os:fsync", "before", 9),
    # Before an outbox took what it was told.
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
def test_a_study_survives_a_kill_at_each_of_the_worst_moments(
    shell, uninterrupted: dict[str, Any], database: str | None
) -> None:
    inline = shell("inline")
    inline.database = database
    for where, when, count in DEATHS:
        process = inline.start_dying(where, when, count, "run", "tiny.yaml")
        assert process.wait(600) == -signal.SIGKILL, f"{where} {when}: {inline.last_line()}"
        if (inline.study / "trials").exists():
            assert_only_whole_or_untold_trials(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)
    attempts = [
        json.loads(line)
        for path in inline.study.glob("trials/*/*/*/attempts.jsonl")
        for line in path.read_text().splitlines()
    ]
    # It was killed in a trial more than once, and did not begin that anew each time.
    assert any(attempt["from_epoch"] > 0 for attempt in attempts)
