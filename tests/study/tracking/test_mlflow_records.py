"""The MLflow records of a study: run names, tags, params, metrics and their order."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.records.trial_table import ArmRow, StoredReport, TrialRow, TrialTable
from study.sensitivity import t_interval
from study.tracking import mlflow_records as tracking
from study.tracking.mlflow_records import trial_name
from study.tracking.outbox import Outbox
from study.tracking.record_types import (
    CloseRun,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    SetTags,
)
from tests.support.trial_tables import AXES, final_row

TESTED = {"test/accuracy": (0.5, 0.75)}


def test_a_name_says_arm_phase_number_and_the_point_in_the_papers_symbols() -> None:
    row = final_row("digits challenger", 3, {"top_k": 5, "n_features": 0.123456}, TESTED)
    assert trial_name(row) == "digits challenger final 3 · K=5 N=0.123"
    assert trial_name(replace(row, params={"mix": "never"})) == (
        "digits challenger final 3 · chance=never"
    )


def test_a_trial_of_a_method_without_dimensions_has_no_point() -> None:
    assert trial_name(final_row("base", 0, {}, TESTED)) == "base final 0"


ARM = ArmRow(
    name="digits challenger",
    dataset="digits (3 per class)",
    model="vgg11, width 0.25",
    method="challenger",
    n_classes=10,
    n_features=784,
    epochs=20,
    dimensions={"top_k": AXES["top_k"], "alpha": AXES["alpha"]},
    sweeps={},
    best_params={"top_k": 5, "alpha": 0.5},
)
REPORTS = (
    StoredReport(epoch=0, time_ms=100, metrics={"filter_cosine/mean": (0.5, 0.25)}),
    StoredReport(
        epoch=10, time_ms=110, metrics={"val/accuracy": (0.75, 1.0), "val/nll": (0.5, 0.5)}
    ),
    StoredReport(
        epoch=20,
        time_ms=120,
        metrics={
            "val/accuracy": (0.5, 0.75),
            "val/nll": (0.25, 0.75),
            "test/accuracy": (0.5, 0.5),
        },
    ),
)
ROW = TrialRow(
    arm="digits challenger",
    phase="search",
    number=7,
    state="COMPLETE",
    params={"top_k": 5, "alpha": 0.5},
    seeds=(3, 4),
    reports=REPORTS,
    value=0.625,
    reason=None,
    folder="digits-challenger/search-7",
    started_ms=90,
    finished_ms=130,
)
REVIEW = tracking.TrackedStudy(
    study="tiny",
    objective="val/accuracy",
    higher_is_better={"val/accuracy": True, "val/nll": False},
    settings={"digits challenger": {"batch_size": "30", "alpha": "fixed elsewhere"}},
    config_hash=lambda row: f"hash-{row.number}",
    git_commit="0123abc",
    user="ada",
)
KEY = "trial/digits challenger/search/7"


def table(*rows: TrialRow) -> TrialTable:
    idle = replace(ARM, name="digits base", method="base", best_params=None)
    return TrialTable(
        study="tiny",
        objective="val/accuracy",
        direction="maximize",
        sampler="tpe",
        arms=(ARM, idle),
        rows=rows,
        environment={},
    )


def only(entries: tuple[MlflowRecord, ...], kind: type[MlflowRecord]) -> MlflowRecord:
    (record,) = (record for record in entries if isinstance(record, kind))
    return record


def test_the_experiment_names_its_primary_metric_and_direction() -> None:
    opened, _views = tracking.experiment_records(REVIEW)
    assert opened == SetTags(
        run_key=None,
        tags={
            "study": "tiny",
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": "val/accuracy",
            "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
        },
    )


def test_a_trial_opens_a_child_run_with_its_point_settings_and_tags() -> None:
    opening = tracking.open_trial(REVIEW, ARM, ROW)
    assert opening.run_key == KEY
    assert opening.parent_key == tracking.arm_key(ARM.name) == "arm/digits challenger"
    assert opening.name == "digits challenger search 7 · K=5 α=0.5"
    assert opening.start_ms == 90
    # The point wins over a fixed setting of the same name.
    assert opening.params == {"batch_size": "30", "top_k": "5", "alpha": "0.5"}
    assert opening.tags == {
        "study": "tiny",
        "arm": "digits challenger",
        "phase": "search",
        "dataset": "digits (3 per class)",
        "model": "vgg11, width 0.25",
        "method": "challenger",
        "kind": "trial",
        "trial_number": "7",
        "replicas": "2",
        "seeds": "3 4",
        "config_hash": "hash-7",
        "git_commit": "0123abc",
        "mlflow.user": "ada",
        "mlflow.source.name": "challenger-study",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "0123abc",
        "mlflow.source.git.dirty": "false",
    }
    assert opening.dataset is not None
    assert opening.dataset.name == "digits (3 per class)"


def test_what_is_not_known_of_the_source_is_not_claimed() -> None:
    tracked = replace(REVIEW, git_commit=None, user=None, config_hash=None)
    opening = tracking.open_trial(tracked, ARM, ROW)
    unknown = {"git_commit", "config_hash", "mlflow.user", "mlflow.source.git.commit"}
    assert not unknown & set(opening.tags)


def test_a_commit_with_changed_files_is_named_as_mlflow_names_it() -> None:
    opening = tracking.open_trial(replace(REVIEW, git_commit="0123abc-dirty"), ARM, ROW)
    assert opening.tags["mlflow.source.git.commit"] == "0123abc"
    assert opening.tags["mlflow.source.git.dirty"] == "true"
    assert opening.tags["git_commit"] == "0123abc-dirty"


def test_an_arm_opens_the_parent_run_with_its_fixed_settings() -> None:
    opening = tracking.open_arm(REVIEW, ARM, 80)
    assert (opening.run_key, opening.parent_key) == ("arm/digits challenger", None)
    assert (opening.name, opening.start_ms) == ("digits challenger", 80)
    assert opening.params["batch_size"] == "30"
    assert opening.params["data/n_features"] == "784"
    assert opening.params["dimensions"] == "top_k alpha"


def test_a_report_is_logged_as_mean_deviation_and_interval() -> None:
    metrics = {"val/accuracy": (0.75, 1.0, 0.875), "val/nll": (0.5, 0.5)}
    # Of the secondary measures of the filters no interval: they are many.
    metrics["filter_cosine_relative/mean"] = (0.5, 0.75)
    logged = tracking.log_report(KEY, replace(REPORTS[1], metrics=metrics))
    interval = t_interval((0.75, 1.0, 0.875))
    assert (logged.run_key, logged.epoch, logged.time_ms) == (KEY, 10, 110)
    assert logged.metrics == pytest.approx(
        {
            "val/accuracy": 0.875,
            "val/accuracy_std": 0.125,
            "val/accuracy_ci_low": interval.low,
            "val/accuracy_ci_high": interval.high,
            "val/nll": 0.5,
            "val/nll_std": 0.0,
            "val/nll_ci_low": 0.5,
            "val/nll_ci_high": 0.5,
            "filter_cosine_relative/mean": 0.625,
            "filter_cosine_relative/mean_std": statistics.stdev((0.5, 0.75)),
        }
    )


def test_what_the_process_used_is_logged_as_mlflows_system_metrics_and_its_sum_as_cost() -> None:
    usage = {"trained_s": 2.0, "cpu_s": 1.5, "cpu_utilization_percentage": 75.0}
    usage |= {"system_memory_usage_megabytes": 900.0}
    report = StoredReport(epoch=1, time_ms=1, metrics={}, usage=usage)
    logged = tracking.log_report(KEY, report)
    assert logged.metrics == {
        "system/cpu_utilization_percentage": 75.0,
        "system/system_memory_usage_megabytes": 900.0,
    }
    row = replace(ROW, reports=(report, replace(report, epoch=2)))
    final = only(tracking.trial_end_records(REVIEW, row), LogMetrics)
    assert isinstance(final, LogMetrics)
    # Nothing was on a GPU, which is not the same as none of its seconds.
    assert final.metrics == {"cost/trained_s": 4.0, "cost/cpu_s": 3.0, "objective": 0.625}


def test_one_replica_has_no_deviation() -> None:
    report = StoredReport(epoch=1, time_ms=1, metrics={"val/accuracy": (0.5,)})
    logged = tracking.log_report(KEY, report)
    assert logged.metrics == {"val/accuracy": 0.5}


def test_a_value_that_is_not_finite_is_left_out_and_its_neighbors_are_not() -> None:
    metrics = {"a": (math.nan, 0.5), "b": (math.inf,), "c": (), "d": (0.5,)}
    logged = tracking.log_report(KEY, StoredReport(epoch=1, time_ms=1, metrics=metrics))
    assert logged.metrics == {"d": 0.5}
    empty = StoredReport(epoch=1, time_ms=1, metrics={"a": (math.nan,)})
    assert tracking.log_report(KEY, empty).metrics == {}


def test_best_metrics_follow_each_metrics_direction_and_use_validation_only() -> None:
    best = tracking.best_metrics(ROW, {**REVIEW.higher_is_better, "test/accuracy": True})
    assert best == {"best/val/accuracy": 0.875, "best/val/nll": 0.5}
    assert tracking.best_metrics(ROW, {"val/accuracy": False}) == {"best/val/accuracy": 0.625}


def test_the_replica_table_has_each_metrics_last_value_by_seed() -> None:
    assert tracking.replica_table(ROW) == {
        "seed": [3, 4],
        "filter_cosine/mean": [0.5, 0.25],
        "test/accuracy": [0.5, 0.5],
        "val/accuracy": [0.5, 0.75],
        "val/nll": [0.25, 0.75],
    }
    odd = StoredReport(epoch=1, time_ms=1, metrics={"a": (math.nan, 1.0), "b": (2.0,)})
    assert tracking.replica_table(replace(ROW, reports=(odd,))) == {
        "seed": [3, 4],
        "a": [None, 1.0],
        "b": [2.0, None],
    }


def test_a_completed_trial_ends_with_its_objective_and_its_replicas() -> None:
    entries = tracking.trial_end_records(REVIEW, ROW)
    final = only(entries, LogMetrics)
    assert final == LogMetrics(
        run_key=KEY,
        epoch=20,
        time_ms=130,
        metrics={"best/val/accuracy": 0.875, "best/val/nll": 0.5, "objective": 0.625},
        name="final",
    )
    replicas = only(entries, LogTable)
    assert isinstance(replicas, LogTable)
    assert replicas.name == "replicas.json"
    assert entries[-1] == CloseRun(
        run_key=KEY, status="FINISHED", end_ms=130, tags={"state": "COMPLETE"}
    )


@pytest.mark.parametrize(
    ("row", "closing"),
    [
        (
            replace(ROW, state="PRUNED", value=None),
            CloseRun(run_key=KEY, status="KILLED", end_ms=130, tags={"state": "PRUNED"}),
        ),
        (
            replace(ROW, state="FAIL", value=None, reports=(), reason="seed 4: loss is nan"),
            CloseRun(
                run_key=KEY,
                status="FAILED",
                end_ms=130,
                tags={"state": "FAIL", "reason": "seed 4: loss is nan"},
            ),
        ),
        (
            replace(ROW, state="FAIL", value=math.nan, reason="x" * 9000, finished_ms=None),
            CloseRun(
                run_key=KEY,
                status="FAILED",
                end_ms=120,
                tags={"state": "FAIL", "reason": "x" * 500},
            ),
        ),
    ],
    ids=["pruned", "failed", "failed without an end"],
)
def test_a_trial_that_did_not_complete_says_so(row: TrialRow, closing: CloseRun) -> None:
    entries = tracking.trial_end_records(REVIEW, row)
    assert entries[-1] == closing
    for record in entries:
        if isinstance(record, LogMetrics):
            assert "objective" not in record.metrics


def test_a_running_trial_is_not_ended_and_neither_is_its_arm() -> None:
    running = replace(ROW, number=8, state="RUNNING", finished_ms=None, value=None)
    closed = [
        record.run_key
        for record in tracking.all_records(REVIEW, table(ROW, running))
        if isinstance(record, CloseRun)
    ]
    assert closed == [KEY]


def test_an_arm_ends_with_its_counts_and_chosen_configuration() -> None:
    failed = replace(ROW, number=8, state="FAIL", finished_ms=150)
    closing = tracking.close_arm(REVIEW, ARM, (ROW, failed))
    assert closing == CloseRun(
        run_key="arm/digits challenger",
        status="FINISHED",
        end_ms=150,
        tags={
            "trials/COMPLETE": "1",
            "trials/FAIL": "1",
            "best_params/alpha": "0.5",
            "best_params/top_k": "5",
            "objective": "val/accuracy",
        },
    )
    closing = tracking.close_arm(REVIEW, ARM, (failed,))
    assert closing.status == "FAILED"


def test_a_rebuild_says_what_the_live_study_said(tmp_path: Path) -> None:
    asked = replace(ROW, state="RUNNING", reports=(), value=None, finished_ms=None)
    outbox = Outbox(path=tmp_path / "outbox.sqlite")
    outbox.put(tracking.experiment_records(REVIEW))
    outbox.put([tracking.open_arm(REVIEW, ARM, asked.started_ms)])
    outbox.put([tracking.open_trial(REVIEW, ARM, asked)])
    outbox.put(tracking.log_report(tracking.trial_key(asked), report) for report in REPORTS)
    outbox.put(tracking.trial_end_records(REVIEW, ROW))
    outbox.put([tracking.close_arm(REVIEW, ARM, (ROW,))])
    live = [item.record for item in outbox.next_batch(100)]
    outbox.mark_sent(item.seq for item in outbox.next_batch(100))

    rebuilt = list(tracking.all_records(REVIEW, table(ROW)))
    outbox.put(rebuilt)
    assert rebuilt == live
    assert outbox.pending().records == 0
    outbox.close()


def test_everything_opens_a_run_before_it_tells_of_it_and_parents_first() -> None:
    rows = tuple(replace(ROW, number=number) for number in range(3))
    opened: set[str | None] = {None}
    for record in tracking.all_records(REVIEW, table(*rows)):
        if isinstance(record, OpenRun):
            assert record.parent_key in opened
            opened.add(record.run_key)
        assert record.run_key in opened
    assert opened == {None, "arm/digits challenger"} | {tracking.trial_key(row) for row in rows}


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_two_arm_names_have_two_searchable_keys(one: str, other: str) -> None:
    keys = [tracking.trial_key(replace(ROW, arm=name)) for name in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    for key in keys:
        OpenRun(
            run_key=key, parent_key=None, name="", start_ms=0, params={}, tags={}, dataset=None
        )
