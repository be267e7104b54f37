"""The exported columns, data frames and files of a trial table."""

from __future__ import annotations

import io
import json
import statistics
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from study.records.frames import to_csv
from study.records.trial_table import StoredReport, TrialTable
from study.results.export import export_columns, to_frame, to_parquet
from tests.support.trial_tables import TableShape, make_trial_table, with_row

SHAPE = TableShape(replicas=3, layers=2, sweep=(1, 5, 9), search_trials=4, epochs=20)


@pytest.fixture
def table() -> TrialTable:
    return make_trial_table(SHAPE)


def records(table: TrialTable, per) -> list[dict[str, object]]:
    columns = export_columns(table, per)
    assert len({len(cells) for cells in columns.values()}) == 1
    return [
        dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    ]


def test_a_row_per_trial_stands_in_the_order_of_the_table(table):
    rows = records(table, "trial")
    assert len(rows) == len(table.rows)
    for row, trial in zip(rows, table.rows, strict=True):
        assert (row["arm"], row["phase"], row["trial_number"], row["state"]) == (
            trial.arm,
            trial.phase,
            trial.number,
            trial.state,
        )
        assert json.loads(row["seeds"]) == list(trial.seeds)
        assert row["value"] == trial.value
        arm = table.arm(trial.arm)
        assert (row["method"], row["dataset"], row["model"]) == (
            arm.method,
            arm.dataset,
            arm.model,
        )
        assert row["study"] == table.study


def test_the_columns_are_which_trial_it_is_then_parameters_then_how_it_went_then_metrics(table):
    names = list(export_columns(table, "trial"))
    assert names[:11] == [
        *("study", "arm", "dataset", "model", "method", "phase", "trial_number", "sampler"),
        *("state", "reason", "is_chosen"),
    ]
    assert names[11:16] == [
        f"params/{n}" for n in ("n_features", "alpha", "beta", "split", "top_k")
    ]
    assert names[16:22] == ["seeds", "epoch", "value", "started", "finished", "duration_s"]
    metrics = names[22:]
    assert metrics[::2] == sorted(metrics[::2])
    assert metrics[1::2] == [f"{name}_std" for name in metrics[::2]]
    assert {"val/accuracy", "val/accuracy_std", "test/nll", "filter_cosine/mean"} <= set(metrics)


def test_metrics_are_means_and_sample_deviations_over_the_replicas_at_the_last_evaluation(table):
    for row, trial in zip(records(table, "trial"), table.rows, strict=True):
        last = trial.reports[-1]
        assert row["epoch"] == last.epoch
        for name, values in last.metrics.items():
            assert row[name] == pytest.approx(statistics.fmean(values), rel=1e-12)
            assert row[f"{name}_std"] == pytest.approx(statistics.stdev(values), rel=1e-12)
        # The search never sees the test split.
        assert (row["test/accuracy"] is None) == (trial.phase == "search")


def test_a_parameter_that_a_trial_does_not_have_is_missing(table):
    for row, trial in zip(records(table, "trial"), table.rows, strict=True):
        shown = {n[7:]: v for n, v in row.items() if n.startswith("params/") and v is not None}
        assert shown == dict(trial.params)


def test_one_trial_of_each_arm_is_the_chosen_one(table):
    rows = records(table, "trial")
    for arm in table.arms:
        chosen = [row for row in rows if row["arm"] == arm.name and row["is_chosen"]]
        assert [row["trial_number"] for row in chosen] == [table.chosen(arm.name).number]
        assert chosen[0]["phase"] == "final"


def test_who_proposed_is_said_of_search_trials_alone(table):
    arms = tuple(replace(a, sampler="sobol") if a.method == "random" else a for a in table.arms)
    for row in records(replace(table, arms=arms), "trial"):
        searched = {"random": "sobol", "challenger": "tpe"}
        assert row["sampler"] == (searched[row["arm"]] if row["phase"] == "search" else None)


def changed(table: TrialTable, **changes: object) -> dict[str, object]:
    """Change the first trial and give its row."""
    return records(with_row(table, replace(table.rows[0], **changes)), "trial")[0]


def test_times_are_in_utc_and_a_duration_needs_an_end(table):
    row = changed(table, started_ms=1_700_000_000_250, finished_ms=1_700_000_001_500)
    assert row["started"] == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert row["finished"] == datetime(2023, 11, 14, 22, 13, 21, 500_000, tzinfo=UTC)
    assert row["duration_s"] == 1.25
    row = changed(table, finished_ms=None, state="RUNNING", value=None)
    assert row["finished"] is row["duration_s"] is row["value"] is None


def test_a_trial_that_was_not_evaluated_has_a_row_with_its_reason(table):
    row = changed(table, reports=(), state="FAIL", value=None, reason="no memory")
    assert (row["state"], row["reason"]) == ("FAIL", "no memory")
    assert row["epoch"] is row["val/accuracy"] is row["val/accuracy_std"] is None


def test_what_was_used_is_summed_over_the_evaluations(table):
    used = [{"cpu_s": 1.5, "system_memory_usage_megabytes": 9.0}, {"cpu_s": 2.0}]
    metrics = {"val/accuracy": (0.5, 0.5, 0.5)}
    reports = tuple(
        StoredReport(epoch=i, time_ms=i, metrics=metrics, usage=u) for i, u in enumerate(used)
    )
    first, second, *_ = records(with_row(table, replace(table.rows[0], reports=reports)), "trial")
    assert first["usage/cpu_s"] == 3.5
    assert second["usage/cpu_s"] is None
    assert not any("megabytes" in name for name in first)


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        ((0.25,), 0.25, None),
        ((0.25, 0.75), 0.5, statistics.stdev((0.25, 0.75))),
        ((0.25, float("nan")), None, None),
        ((float("inf"), float("-inf")), None, None),
    ],
)
def test_one_replica_has_no_deviation_and_a_mean_needs_finite_values(
    table, values, mean, deviation
):
    report = StoredReport(epoch=1, time_ms=0, metrics={"val/nll": values})
    row = changed(table, reports=(report,), seeds=tuple(range(len(values))))
    assert (row["val/nll"], row["val/nll_std"]) == (mean, deviation)


def test_a_row_per_replica_has_its_seed_and_its_own_values(table):
    rows = iter(records(table, "replica"))
    for trial in table.rows:
        for replica, seed in enumerate(trial.seeds):
            row = next(rows)
            assert (row["trial_number"], row["replica"], row["seed"]) == (
                trial.number,
                replica,
                seed,
            )
            last = trial.reports[-1]
            assert row["epoch"] == last.epoch
            assert {n: row[n] for n in last.metrics} == {
                n: values[replica] for n, values in last.metrics.items()
            }
            assert {"seeds", "value", "val/accuracy_std", "usage/cpu_s"} & row.keys() == set()
    assert next(rows, None) is None


TABLE = make_trial_table(
    TableShape(replicas=2, layers=1, sweep=(1, 9), search_trials=3, epochs=10)
)
PERS = ["trial", "replica", "report"]


def frame_of(table=TABLE, per="trial") -> pd.DataFrame:
    return to_frame(export_columns(table, per), table)


@pytest.mark.parametrize("per", PERS)
def test_parquet_gives_back_the_frame_with_its_types_and_what_it_is_of(per):
    frame = frame_of(per=per)
    back = pd.read_parquet(io.BytesIO(to_parquet(frame)))
    pd.testing.assert_frame_equal(back, frame)
    assert back.attrs == {
        "study": TABLE.study,
        "objective": "val/accuracy",
        "direction": "maximize",
        "environment": dict(TABLE.environment),
    }


@pytest.mark.parametrize("per", PERS)
def test_csv_gives_back_every_digit(per):
    frame = frame_of(per=per)
    times = [name for name in ("started", "finished", "time") if name in frame]
    back = pd.read_csv(io.StringIO(to_csv(frame)), parse_dates=times)
    assert list(back) == list(frame)
    for name in frame:
        expected = frame[name].dropna().tolist()
        assert back[name].dropna().tolist() == expected, name
        assert back[name].isna().tolist() == frame[name].isna().tolist()


def test_each_column_has_its_type_where_cells_are_missing_too():
    types = {name: str(kind) for name, kind in frame_of().dtypes.items()}
    assert types["params/top_k"] == types["trial_number"] == types["epoch"] == "Int64"
    assert types["params/alpha"] == types["val/accuracy"] == types["value"] == "float64"
    assert types["is_chosen"] == "boolean"
    assert types["started"] == types["finished"] == "datetime64[ms, UTC]"
    assert types["arm"] == types["reason"] == types["sampler"] == "str"


@pytest.mark.parametrize(
    ("cells", "kind", "kept"),
    [
        ((1, None, 3), "Int64", [1, None, 3]),
        ((1, 0.5), "float64", [1.0, 0.5]),
        ((True, None), "boolean", [True, None]),
        (("a", None), "str", ["a", None]),
        ((1, "a", 0.5, True), "str", ["1", "a", "0.5", "True"]),
        ((True, 1), "str", ["True", "1"]),
        ((None, None), "float64", [None, None]),
        ((), "float64", []),
        ((2**48 - 1,), "Int64", [2**48 - 1]),
        ((datetime(2026, 1, 2, tzinfo=UTC),), "datetime64[ms, UTC]", None),
    ],
)
def test_a_column_takes_the_type_of_its_values(cells, kind, kept):
    series = to_frame({"params/x": cells}, TABLE)["params/x"]
    assert str(series.dtype) == kind
    if kept is not None:
        assert [None if pd.isna(cell) else cell for cell in series] == kept
    assert len(pd.read_parquet(io.BytesIO(to_parquet(series.to_frame())))) == len(cells)


@pytest.mark.parametrize("per", PERS)
def test_a_study_without_trials_is_a_frame_without_rows(per):
    frame = frame_of(replace(TABLE, rows=()), per)
    assert len(frame) == 0
    assert to_csv(frame) == ",".join(frame) + "\n"
    assert list(pd.read_parquet(io.BytesIO(to_parquet(frame)))) == list(frame)
