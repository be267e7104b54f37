"""The clock of a study stands still between blocks of trials."""

from __future__ import annotations

from typing import Any

import pytest

from study.bench.interludes import Interludes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_only_the_time_between_interludes_is_counted(clock: list[float]) -> None:
    nothing: Any = None
    played = []

    def play(block: int) -> None:
        played.append(block)
        clock[0] += 100.0

    interludes = Interludes(every=3, play=play)
    for _ in range(7):
        clock[0] += 1.0
        interludes.began(nothing, nothing)
        interludes.reported(nothing, nothing)
        interludes.ended(nothing, nothing)
    assert played == [0, 1, 2]
    assert interludes.seconds == [3.0, 3.0]
    assert interludes.first_report_s == 101.0
