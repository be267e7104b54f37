"""The output of benchmarks of studies, and that they leave no files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from tests.benchmarks import charts, overhead, quartiles, reuse, scaling, study_commands, tracking
from tests.benchmarks.charts import ChartPage
from tests.benchmarks.overhead import Overhead
from tests.benchmarks.reuse import Reuse, Saving
from tests.benchmarks.scaling import SlotUtilization
from tests.benchmarks.tracking import Tracking, TrackingShare

OVERHEAD = Overhead(
    trials=200,
    slots=2,
    start_up_s=7.25,
    study=quartiles((0.2, 0.25, 0.3)),
    bare_optuna=quartiles((0.1, 0.125, 0.15)),
    stock_tune=quartiles((4.0, 5.0, 6.0)),
    to_bare_optuna=quartiles((2.0,)),
    to_stock_tune=quartiles((20.0,)),
)


def test_the_overhead_is_printed_with_its_spread_and_nothing_is_left(call, monkeypatch, tmp_path):
    roots = []

    def measure(root: Path, trials: int, slots: int, on_message: Any, kind: str) -> Overhead:  # noqa: ANN401
        assert (trials, slots, kind) == (40, 2, "sqlite")
        (root / "file").write_text("x")
        on_message("block 1 of 8")
        roots.append(root)
        return OVERHEAD

    monkeypatch.setattr(overhead, "measure_overhead", measure)
    arguments = ("overhead", "--trials", "40", "--folder", str(tmp_path / "disk"))
    ended = call(*arguments)
    assert (ended.code, ended.err) == (0, "block 1 of 8\n")
    assert roots[0].parent == tmp_path / "disk"
    assert not roots[0].exists()
    rows = [line.split("│")[1:4] for line in ended.out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows][:2] == [
        ["a study, all of it on", "0.250", "0.225 – 0.275"],
        ["Optuna alone: ask, 4 reports, tell", "0.125", "0.113 – 0.138"],
    ]
    assert "one driver could feed, to 95 %, 28 trials of 10 s, " in ended.out
    data = json.loads(call(*arguments, "--json").out)
    assert data["environment"]["python"]
    assert data["quartiles"]["ratio_to_bare"] == [2.0, 2.0]
    assert (data["seconds_per_trial"], data["start_up_seconds"]) == (0.25, 7.25)
    assert data["largest_cluster"] == {"10": 28, "60": 231, "600": 2391}


def test_a_cluster_that_memory_does_not_bear_is_left_out_and_named(call, monkeypatch):
    used = SlotUtilization(
        slots=4,
        trial_seconds=10.0,
        trials=12,
        ideal_seconds=30.0,
        actual_seconds=31.25,
        efficiency=0.96,
    )

    def utilizations(root: Path, config: scaling.ScalingConfig) -> list[SlotUtilization]:  # noqa: ARG001
        assert config == scaling.ScalingConfig(slots=(4,), trial_s=(1, 10), rounds=3)
        return [used]

    memory = SimpleNamespace(available=5 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(study_commands, "_utilizations", utilizations)
    arguments = ("scaling", "--slots", "4", "--slots", "64", "--much", "0")
    ended = call(*arguments)
    assert "96.0%" in ended.out
    assert "left out for lack of memory: 64 at a time" in ended.out
    data = json.loads(call(*arguments, "--json").out)
    assert [usage["efficiency"] for usage in data["usage"]] == [0.96]
    assert (data["left_out_slots"], data["much"]) == ([64], None)


def test_the_page_of_charts_is_printed_by_size_and_view(call, monkeypatch):
    def measure(root: Path, trials: int, rounds: int, on_message: Any) -> tuple[ChartPage, ...]:  # noqa: ANN401
        assert root.is_dir()
        on_message(f"{trials} trials")
        seconds = tuple(trials / 10 + one for one in range(rounds))
        return (ChartPage(trials=trials, view="over-top_k", charts=4, seconds=seconds),)

    monkeypatch.setattr(charts, "measure_charts", measure)
    arguments = ("charts", "--trials", "24", "--trials", "1000", "--rounds", "3")
    ended = call(*arguments)
    assert (ended.code, ended.err) == (0, "24 trials\n1000 trials\n")
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in ended.out.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["24", "over-top_k", "4", "3.4", "2.4, 3.4, 4.4"],
        ["1000", "over-top_k", "4", "101.0", "100.0, 101.0, 102.0"],
    ]
    pages = json.loads(call(*arguments, "--json").out)["pages"]
    assert [page["seconds"][0] for page in pages] == [2.4, 100.0]


def test_savings_and_tracking_are_printed_and_the_same_as_json(call, monkeypatch):
    savings = {"twins": Saving(times=4, each=quartiles((1.0, 2.0, 3.0)))}
    found = Reuse(trials=20, study_s=62.0, savings=savings)
    monkeypatch.setattr(reuse, "measure_reuse", lambda *_: found)
    assert "without any of it, 70 s at least, 1.1 times as long" in call("reuse").out
    assert json.loads(call("reuse", "--json").out)["saved_cpu_seconds"] == {"twins": 8}

    rate = quartiles((900.0, 1000.0))
    rates = Tracking(
        points=16_000,
        backlog=rate,
        reports_alone=rate,
        bare=rate,
        backlog_to_bare=quartiles((0.9,)),
        reports_to_bare=quartiles((0.95,)),
    )
    share = TrackingShare(
        trials=41,
        study_seconds=100.0,
        queued_seconds=0.25,
        last_seconds=1.25,
        delivery_cpu_seconds=8.0,
        waited=0.015,
    )
    monkeypatch.setattr(tracking, "measure_tracking", lambda *_: rates)
    monkeypatch.setattr(tracking, "measure_tracking_share", lambda *_: share)
    assert "1.5% of its time" in call("tracking").out.replace("\n", " ")
    assert json.loads(call("tracking", "--json").out)["study"]["waited"] == 0.015
