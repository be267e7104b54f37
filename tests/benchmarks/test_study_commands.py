"""The output of benchmarks of studies, and that they leave no files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.benchmarks import overhead, quartiles, reuse, scaling, study_commands, tracking
from tests.benchmarks.overhead import Overhead
from tests.benchmarks.reuse import Reuse, Saving
from tests.benchmarks.scaling import SlotUtilization
from tests.benchmarks.tracking import Tracking, TrackingShare

FOUND = Overhead(
    trials=200,
    slots=2,
    start_up_s=7.25,
    study=quartiles((0.2, 0.25, 0.3)),
    bare_optuna=quartiles((0.1, 0.125, 0.15)),
    stock_tune=quartiles((4.0, 5.0, 6.0)),
    to_bare_optuna=quartiles((2.0,)),
    to_stock_tune=quartiles((20.0,)),
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int, int]]:
    asked = []

    def measure(root: Path, trials: int, slots: int, on_message: Any, kind: str) -> Overhead:  # noqa: ANN401
        assert kind == "sqlite"
        (root / "file").write_text("x")
        on_message("block 1 of 8")
        asked.append((root, trials, slots))
        return FOUND

    monkeypatch.setattr(overhead, "measure_overhead", measure)
    return asked


def test_the_overhead_is_printed_with_its_spread_and_nothing_is_left(call, measured, tmp_path):
    ended = call("overhead", "--trials", "40", "--folder", str(tmp_path / "disk"))
    assert (ended.code, ended.err) == (0, "block 1 of 8\n")
    ((root, trials, slots),) = measured
    assert (trials, slots) == (40, 2)
    assert root.parent == tmp_path / "disk"
    assert not root.exists()
    rows = [line.split("│")[1:4] for line in ended.out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["a study, all of it on", "0.250", "0.225 – 0.275"],
        ["Optuna alone: ask, 4 reports, tell", "0.125", "0.113 – 0.138"],
        ["Tune as it comes", "5.000", "4.500 – 5.500"],
        ["study ÷ Optuna alone", "2.000", "2.000 – 2.000"],
        ["Tune as it comes ÷ study", "20.000", "20.000 – 20.000"],
    ]
    assert "first report after 7.2 s" in ended.out
    assert "one driver could feed, to 95 %, 28 trials of 10 s, " in ended.out


@pytest.mark.usefixtures("measured")
def test_as_json_the_figures_have_their_documented_names_and_say_where_they_were_taken(call):
    ended = call("overhead", "--json")
    data = json.loads(ended.out)
    assert data.pop("environment")["python"]
    assert data.pop("quartiles")["ratio_to_bare"] == [2.0, 2.0]
    assert data == {
        "trials": 200,
        "slots": 2,
        "blocks": 3,
        "start_up_seconds": 7.25,
        "seconds_per_trial": 0.25,
        "bare_optuna_seconds_per_trial": 0.125,
        "stock_tune_seconds_per_trial": 5.0,
        "ratio_to_bare": 2.0,
        "ratio_of_stock_tune": 20.0,
        "largest_cluster": {"10": 28, "60": 231, "600": 2391},
    }


def test_a_cluster_that_memory_does_not_bear_is_left_out_and_named(call, monkeypatch):
    requested = []

    def utilizations(root: Path, scaling_config: scaling.ScalingConfig) -> list[SlotUtilization]:  # noqa: ARG001
        requested.append(scaling_config)
        return [SlotUtilization(slots=4, trial_s=10.0, trials=12, ideal_s=30.0, actual_s=31.25)]

    memory = SimpleNamespace(available=5 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(study_commands, "_utilizations", utilizations)
    ended = call("scaling", "--slots", "4", "--slots", "64", "--much", "0")
    assert ended.code == 0
    assert requested == [scaling.ScalingConfig(slots=(4,), trial_s=(1, 10), rounds=3)]
    assert "96.0%" in ended.out
    assert "left out for lack of memory: 64 at a time" in ended.out
    as_json = call("scaling", "--slots", "4", "--slots", "64", "--much", "0", "--json")
    data = json.loads(as_json.out)
    assert data["usage"] == [
        {
            "slots": 4,
            "trial_seconds": 10.0,
            "trials": 12,
            "ideal_seconds": 30.0,
            "actual_seconds": 31.25,
            "efficiency": 0.96,
        }
    ]
    assert (data["left_out_slots"], data["much"]) == ([64], None)


def test_what_is_not_done_again_is_printed_with_how_often_and_what_it_saves(call, monkeypatch):
    each = quartiles((1.0, 2.0, 3.0))
    savings = {
        "base_models": Saving(times=15, each=each),
        "loaded_data": Saving(times=15, each=each),
        "twins": Saving(times=4, each=each),
    }
    found = Reuse(trials=20, study_s=62.0, savings=savings)
    monkeypatch.setattr(reuse, "measure_reuse", lambda *_: found)
    ended = call("reuse")
    rows = [line.split("│")[1:6] for line in ended.out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["Base models, trained once per seed", "15", "2.000", "1.500 – 2.500", "30.0"],
        ["data, loaded once per process", "15", "2.000", "1.500 – 2.500", "30.0"],
        ["trials that would repeat another", "4", "2.000", "1.500 – 2.500", "8.0"],
    ]
    assert "took 62 CPU s; without any of it, 100 s at least, 1.6 times as long" in ended.out
    data = json.loads(call("reuse", "--json").out)
    assert data["saved_cpu_seconds"] == {"base_models": 30, "loaded_data": 30, "twins": 8}


def test_tracking_is_told_with_the_share_of_a_study_that_waits_for_it(call, monkeypatch):
    rate = quartiles((900.0, 1000.0))
    found = Tracking(
        points=16_000,
        backlog=rate,
        reports_alone=rate,
        bare=rate,
        backlog_to_bare=quartiles((0.9,)),
        reports_to_bare=quartiles((0.95,)),
    )
    share = TrackingShare(trials=41, study_s=100.0, queued_s=0.25, last_s=1.25, delivery_cpu_s=8.0)
    monkeypatch.setattr(tracking, "measure_tracking", lambda *_: found)
    monkeypatch.setattr(tracking, "measure_tracking_share", lambda *_: share)
    ended = call("tracking")
    assert "a study of 41 trials and 100 s waits 0.25 s for the queue" in ended.out
    assert "1.5% of its time" in ended.out.replace("\n", " ")
    data = json.loads(call("tracking", "--json").out)
    assert data["study"]["waited"] == 0.015
