"""The MLflow records of a study, computed from its own records.

One experiment per study, a parent run per arm, a child run per trial. Every function is pure, so
that the live study and a rebuild of the MLflow mirror give the same records.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from study.records.labels import dimension_symbol
from study.records.trial_table import (
    ArmRow,
    StoredReport,
    TrialRow,
    TrialState,
    TrialTable,
)
from study.storage.layout import TrialKey
from study.tracking.logged_metrics import logged_metrics
from study.tracking.record_types import (
    CloseRun,
    DatasetInput,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    RunStatus,
    SetTags,
)
from study.tracking.saved_views import ViewedStudy, view_tags
from trainables.report import mean, std


def trial_name(row: TrialRow) -> str:
    """Return arm, phase, number and params: ``challenger final 3 · K=5 α=0.8``.

    Reads only what is known when a trial starts, so that its name never changes.
    """
    name = f"{row.arm} {row.phase} {row.number}"
    point = " ".join(
        f"{dimension_symbol(key)}={f'{value:.3g}' if isinstance(value, float) else value}"
        for key, value in row.params.items()
    )
    return f"{name} · {point}" if point else name


# MLflow's limit is 8000; a reason is read by people.
_REASON_LENGTH: Final = 500
_DIRTY: Final = "-dirty"
# What of a report's usage is a level at its time; the rest are seconds, which add up.
_LEVELS: Final = ("_megabytes", "_percentage")
_CONFIDENCE: Final = 0.95
_COSTS: Final = ("trained_s", "cpu_s", "gpu_s")

_STATUS: Final[Mapping[TrialState, RunStatus]] = {
    "COMPLETE": "FINISHED",
    "PRUNED": "KILLED",
    "FAIL": "FAILED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedStudy:
    """Facts about a study, other than its trials, that its records need.

    Attributes:
        study: Name of the study.
        objective: Metric key by which trials are compared.
        higher_is_better: Metric key to its direction; metrics without one get no ``best/``.
        settings: Arm name to its fixed settings, flat: ``{"batch_size": "30", …}``.
        dimensions: Dimensions of all arms, in the order in which tables of runs show them.
        swept: Those that are swept.
        config_hash: Gives the identity of a trial's resolved configuration, or None.
        git_commit: Commit of the code, or None where it is not known.
        user: Who runs the study, or None.
    """

    study: str
    objective: str
    higher_is_better: Mapping[str, bool]
    settings: Mapping[str, Mapping[str, str]]
    dimensions: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    config_hash: Callable[[TrialRow], str] | None = None
    git_commit: str | None = None
    user: str | None = None


def arm_key(arm: str) -> str:
    """Return the key of an arm's run.

    >>> arm_key("digits challenger")
    'arm/digits challenger'
    """
    return f"arm/{_escaped(arm)}"


def trial_key(row: TrialRow | TrialKey) -> str:
    """Return the key of a trial's run: ``trial/<arm>/<phase>/<number>``."""
    return f"trial/{_escaped(row.arm)}/{row.phase}/{row.number}"


def experiment_records(
    tracked: TrackedStudy, table: TrialTable | None = None
) -> tuple[MlflowRecord, ...]:
    """Return the experiment's tags: its primary metric and the saved views of its runs.

    Args:
        tracked: The study.
        table: Its trials, for the views with charts; None before there are any.
    """
    tags = {
        "study": tracked.study,
        # Otherwise MLflow opens the page on traces and prompts instead of runs and charts.
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": tracked.objective,
    }
    is_higher_better = tracked.higher_is_better.get(tracked.objective)
    if is_higher_better is not None:
        tags["mlflow.experiment.primaryMetric.greaterIsBetter"] = str(is_higher_better).lower()
    return (
        SetTags(run_key=None, tags=tags),
        SetTags(run_key=None, tags=saved_views(tracked, table)),
    )


def saved_views(tracked: TrackedStudy, table: TrialTable | None) -> dict[str, str]:
    """Return the experiment's tags that hold the saved views of its runs.

    Args:
        tracked: The study.
        table: Its trials, for the views with charts; None before there are any.
    """
    has_results = table is not None and any(table.chosen(arm.name) for arm in table.arms)
    return view_tags(
        ViewedStudy(
            objective=tracked.objective,
            is_higher_better=tracked.higher_is_better.get(tracked.objective) is not False,
            dimensions=tracked.dimensions,
            swept=tracked.swept,
            workloads=() if table is None else _workloads(table),
            logged=logged_metrics(table) if table is not None and has_results else None,
        )
    )


def _workloads(table: TrialTable) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((arm.dataset, arm.model) for arm in table.arms))


def open_arm(tracked: TrackedStudy, arm: ArmRow, start_ms: int) -> OpenRun:
    """Open the parent run of an arm, with its fixed settings, when its first trial starts."""
    sizes = {
        "data/n_classes": str(arm.n_classes),
        "data/n_features": str(arm.n_features),
        "dimensions": " ".join(arm.dimensions),
        "epochs": str(arm.epochs),
    }
    return OpenRun(
        run_key=arm_key(arm.name),
        parent_key=None,
        name=arm.name,
        start_ms=start_ms,
        params={**sizes, **tracked.settings.get(arm.name, {})},
        tags={**_tags(tracked, arm), "kind": "arm"},
        dataset=_dataset(arm),
    )


def close_arm(tracked: TrackedStudy, arm: ArmRow, rows: Sequence[TrialRow]) -> CloseRun:
    """End the parent run of an arm with its chosen configuration and its counts of trials.

    An arm that continues later (a sensitivity sweep) is closed again: the later close counts.
    All its trials, at least one, have ended.
    """
    counts = Counter(row.state for row in rows)
    tags = {f"trials/{state}": str(counts[state]) for state in sorted(counts)}
    chosen = arm.best_params or {}
    tags |= {f"best_params/{name}": str(chosen[name]) for name in sorted(chosen)}
    return CloseRun(
        run_key=arm_key(arm.name),
        status="FAILED" if set(counts) == {"FAIL"} else "FINISHED",
        end_ms=max(_end_ms(row) for row in rows),
        tags={**tags, "objective": tracked.objective},
    )


def open_trial(tracked: TrackedStudy, arm: ArmRow, row: TrialRow) -> OpenRun:
    """Open the child run of a trial, with its point of the space and its arm's settings as params.

    Reads the row's arm, phase, number, params, seeds and start only, so that a row made when the
    trial is asked for gives the same as the stored row later.
    """
    point = {name: str(value) for name, value in row.params.items()}
    tags = {
        **_tags(tracked, arm),
        "kind": "trial",
        "phase": row.phase,
        "trial_number": str(row.number),
        "replicas": str(len(row.seeds)),
        "seeds": " ".join(map(str, row.seeds)),
    }
    if tracked.config_hash is not None:
        tags["config_hash"] = tracked.config_hash(row)
    return OpenRun(
        run_key=trial_key(row),
        parent_key=arm_key(row.arm),
        name=trial_name(row),
        start_ms=row.started_ms,
        params={**tracked.settings.get(row.arm, {}), **point},
        tags=tags,
        dataset=_dataset(arm),
    )


def log_report(run_key: str, report: StoredReport) -> LogMetrics:
    """Log a report's means over the replicas, and what the process used as ``system/…``.

    System metrics have MLflow's own names, so that its page of them shows them.
    """
    points = replica_metrics(report.metrics)
    points |= {f"system/{key}": v for key, v in report.usage.items() if key.endswith(_LEVELS)}
    return LogMetrics(run_key=run_key, epoch=report.epoch, time_ms=report.time_ms, metrics=points)


def replica_metrics(metrics: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Return the means over the replicas, with standard deviation and 95 % interval of the mean.

    Of two replicas and more the sample standard deviation is ``…_std``, and the ends of
    Student's t interval are ``…_ci_low`` and ``…_ci_high``; the many secondary measures of the
    filter cosine (``filter_cosine_relative/…`` and its like) have no interval. A value that is not
    finite is left out: MLflow cannot keep it.
    """
    points: dict[str, float] = {}
    for key, values in metrics.items():
        if not _is_finite(values):
            continue
        points[key] = mean(values)
        if len(values) > 1:
            points[f"{key}_std"] = std(values)
            if not key.startswith("filter_cosine_"):
                half = _half_width(len(values)) * std(values)
                points[f"{key}_ci_low"] = points[key] - half
                points[f"{key}_ci_high"] = points[key] + half
    return points


@cache
def _half_width(n: int) -> float:
    """Return half of the interval's width over the standard deviation of n values."""
    # When a report is there: a driver starts without scipy.
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + _CONFIDENCE) / 2)) / math.sqrt(n)


def _is_finite(values: Sequence[float]) -> bool:
    return len(values) > 0 and all(map(math.isfinite, values))


def cost_metrics(rows: Sequence[TrialRow]) -> dict[str, float]:
    """Sum up what trials used: ``cost/trained_s`` and its like; nothing that was not measured."""
    sums = {f"cost/{what}": math.fsum(row.used(what) for row in rows) for what in _COSTS}
    return {key: seconds for key, seconds in sums.items() if seconds > 0}


def best_metrics(row: TrialRow, higher_is_better: Mapping[str, bool]) -> dict[str, float]:
    """Return the best mean over the epochs of each validation metric that has a direction.

    Returns:
        ``best/val/accuracy`` and its like. MLflow itself shows a metric's last value, not its
        best (https://github.com/mlflow/mlflow/issues/7790).
    """
    best: dict[str, float] = {}
    for report in row.reports:
        for key, values in report.metrics.items():
            if key.startswith("val/") and key in higher_is_better and _is_finite(values):
                better = max if higher_is_better[key] else min
                best[f"best/{key}"] = better(best.get(f"best/{key}", mean(values)), mean(values))
    return best


def replica_table(row: TrialRow) -> dict[str, list[int | float | None]]:
    """Return every replica's value of every metric at its last evaluation, as columns by seed."""
    keys = sorted({key for report in row.reports for key in report.metrics})
    columns: dict[str, list[int | float | None]] = {"seed": list(row.seeds)}
    for key in keys:
        values = row.last(key) or ()
        cells = [value if math.isfinite(value) else None for value in values]
        columns[key] = cells + [None] * (len(row.seeds) - len(cells))
    return columns


def trial_end_records(tracked: TrackedStudy, row: TrialRow) -> tuple[MlflowRecord, ...]:
    """End the child run of a trial: its best metrics, its objective, its replicas and its state.

    A pruned trial ends as ``KILLED``, a failed one as ``FAILED`` with the tag ``reason``. A
    trial that still runs has no end record.
    """
    if row.state == "RUNNING":
        return ()
    key = trial_key(row)
    end_ms = _end_ms(row)
    records: list[MlflowRecord] = []
    final = best_metrics(row, tracked.higher_is_better) | cost_metrics([row])
    if row.value is not None and math.isfinite(row.value):
        final["objective"] = row.value
    if final:
        epoch = row.reports[-1].epoch if row.reports else 0
        records.append(
            LogMetrics(run_key=key, epoch=epoch, time_ms=end_ms, metrics=final, name="final")
        )
    if row.reports:
        records.append(LogTable(run_key=key, name="replicas.json", columns=replica_table(row)))
    tags: dict[str, str] = {"state": row.state}
    if row.reason is not None:
        tags["reason"] = row.reason[:_REASON_LENGTH]
    records.append(CloseRun(run_key=key, status=_STATUS[row.state], end_ms=end_ms, tags=tags))
    return tuple(records)


def all_records(tracked: TrackedStudy, table: TrialTable) -> Iterator[MlflowRecord]:
    """Yield all records of a study, in the order in which they may be sent.

    Putting a record twice changes nothing, so a resumed study puts all of them first, to add
    what a crash between result file and outbox has lost.
    """
    yield from experiment_records(tracked, table)
    for arm in table.arms:
        rows = [row for row in table.rows if row.arm == arm.name]
        if not rows:
            continue
        yield open_arm(tracked, arm, min(row.started_ms for row in rows))
        for row in rows:
            yield open_trial(tracked, arm, row)
            for report in row.reports:
                yield log_report(trial_key(row), report)
            yield from trial_end_records(tracked, row)
        if all(row.state != "RUNNING" for row in rows):
            yield close_arm(tracked, arm, rows)


def _end_ms(row: TrialRow) -> int:
    """Return when a trial ended; a trial whose end was not seen ended at its last report."""
    if row.finished_ms is not None:
        return row.finished_ms
    return row.reports[-1].time_ms if row.reports else row.started_ms


def _tags(tracked: TrackedStudy, arm: ArmRow) -> dict[str, str]:
    """Return an arm's tags, and MLflow's own, which ``create_run`` does not set by itself."""
    tags = {
        "study": tracked.study,
        "arm": arm.name,
        "dataset": arm.dataset,
        "model": arm.model,
        "method": arm.method,
        "mlflow.source.name": "challenger-study",
        "mlflow.source.type": "LOCAL",
    }
    if tracked.user is not None:
        tags["mlflow.user"] = tracked.user
    if tracked.git_commit is not None:
        is_dirty = tracked.git_commit.endswith(_DIRTY)
        tags["mlflow.source.git.commit"] = tracked.git_commit.removesuffix(_DIRTY)
        tags["mlflow.source.git.dirty"] = str(is_dirty).lower()
        tags["git_commit"] = tracked.git_commit
    return tags


def _dataset(arm: ArmRow) -> DatasetInput:
    facts = {"dataset": arm.dataset, "n_classes": arm.n_classes, "n_features": arm.n_features}
    text = json.dumps(facts, sort_keys=True)
    return DatasetInput(
        name=arm.dataset, digest=hashlib.sha256(text.encode()).hexdigest()[:8], source=text
    )


def _escaped(name: str) -> str:
    """Replace what a run's key may not hold, without making two names one.

    >>> _escaped("it's 5%")
    'it%27s 5%25'
    """
    return re.sub(r"['\"`\\%\x00-\x1f]", lambda found: f"%{ord(found[0]):02x}", name)
