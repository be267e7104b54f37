"""The clock of a study stands still between blocks of trials."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.overhead import BlockTimer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_only_the_time_between_pauses_is_counted(clock: list[float]) -> None:
    nothing: Any = None
    played = []

    def on_pause(block: int) -> None:
        played.append(block)
        clock[0] += 100.0

    block_timer = BlockTimer(every=3, on_pause=on_pause)
    for _ in range(7):
        clock[0] += 1.0
        block_timer.on_trial_start(nothing, nothing)
        block_timer.on_report(nothing, nothing)
        block_timer.on_trial_end(nothing, nothing)
    assert played == [0, 1, 2]
    assert block_timer.seconds == [3.0, 3.0]
    assert block_timer.first_report_s == 101.0
