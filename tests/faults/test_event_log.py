"""What blows cost: counts by kind, and epochs that were trained a second time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from study.records.trial_table import StoredReport, TrialTable
from tests.faults.event_log import (
    EventLog,
    FaultCounts,
    InjectedFault,
    Outcome,
    costs,
    epochs_redone,
)
from tests.faults.schedule import FAULT_KINDS, Fault, FaultKind
from tests.support.trial_tables import make_trial_table
from trainables.runtime.attempts import Attempt


def attempt(from_epoch: int, started_ms: int) -> Attempt:
    return Attempt(from_epoch=from_epoch, started_ms=started_ms, host="here", pid=1)


def reports(*times_ms: int) -> list[StoredReport]:
    return [
        StoredReport(epoch=epoch, time_ms=time_ms, metrics={})
        for epoch, time_ms in enumerate(times_ms)
    ]


def test_an_undisturbed_trial_trains_nothing_twice() -> None:
    assert epochs_redone([attempt(0, 0)], reports(10, 20, 30)) == 0
    assert epochs_redone([], []) == 0


def test_what_was_reported_after_the_checkpoint_is_trained_again() -> None:
    # Epochs 0 to 3 were reported by 40 ms; the second attempt found a checkpoint of epoch 1.
    stored = reports(10, 20, 30, 40, 90, 100)
    assert epochs_redone([attempt(0, 0), attempt(1, 80)], stored) == 2
    assert epochs_redone([attempt(0, 0), attempt(3, 80)], stored) == 0
    assert epochs_redone([attempt(0, 0), attempt(0, 50), attempt(0, 80)], stored) == 6


def test_a_checkpoint_may_be_newer_than_the_last_report() -> None:
    assert epochs_redone([attempt(0, 0), attempt(9, 80)], reports(10, 20)) == 0


@given(st.lists(st.integers(0, 100), max_size=5))
def test_work_that_is_done_again_is_never_negative(epochs: list[int]) -> None:
    attempts = [attempt(epoch, 50 * i) for i, epoch in enumerate(epochs)]
    assert epochs_redone(attempts, reports(*range(0, 300, 30))) >= 0


def injected(kind: FaultKind, outcome: Outcome) -> InjectedFault:
    return InjectedFault(fault=Fault(kind=kind, at_s=0.0), at_s=0.0, outcome=outcome, note="")


def small_table() -> TrialTable:
    whole = make_trial_table()
    return replace(whole, rows=whole.rows[:2])


def test_costs_count_faults_starts_attempts_and_epochs() -> None:
    rows = small_table().rows
    keys = [f"{row.arm}/{row.phase}/{row.number}" for row in rows]
    last_ms = rows[1].reports[-1].time_ms
    found = costs(
        EventLog(
            injected=(
                injected("worker", "survived"),
                injected("worker", "survived"),
                injected("worker", "skipped"),
                injected("twice", "failed"),
            ),
            n_starts=4,
        ),
        small_table(),
        {keys[0]: [attempt(0, -1)], keys[1]: [attempt(0, -1), attempt(0, last_ms)]},
    )
    assert set(found.faults) == set(FAULT_KINDS)
    assert found.faults["worker"] == FaultCounts(done=2, survived=2, skipped=1)
    assert found.faults["twice"] == FaultCounts(done=1, survived=0, skipped=0)
    assert found.faults["head"] == FaultCounts(done=0, survived=0, skipped=0)
    assert (found.driver_starts, found.trials) == (4, 2)
    assert (found.attempts, found.most_attempts) == (3, 2)
    epochs = [row.reports[-1].epoch for row in rows]
    assert (found.epochs, found.epochs_redone) == (sum(epochs), epochs[1])
    assert found.redone_share == epochs[1] / sum(epochs)


def test_costs_of_nothing_have_no_share() -> None:
    empty = costs(EventLog(), replace(make_trial_table(), rows=()), {})
    assert (empty.trials, empty.attempts, empty.redone_share) == (0, 0, 0.0)
