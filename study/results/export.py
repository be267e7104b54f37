"""Export of the trial table: tidy columns, as a data frame, CSV or Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from study.records.frames import Cell, typed_frame
from study.records.trial_table import StoredReport, TrialRow, TrialTable
from trainables.report import mean, std

if TYPE_CHECKING:
    import pandas as pd

Per: TypeAlias = Literal["trial", "replica", "report"]

# Columns before and after the parameters.
_IDENTITY_COLUMNS = (
    *("study", "arm", "dataset", "model", "method", "phase", "trial_number", "sampler"),
    *("state", "reason", "is_chosen"),
)
_RESULT_COLUMNS: Mapping[Per, tuple[str, ...]] = {
    "trial": ("seeds", "epoch", "value", "started", "finished", "duration_s"),
    "replica": ("replica", "seed", "epoch"),
    "report": ("replica", "seed", "epoch", "time"),
}


def export_columns(table: TrialTable, per: Per) -> dict[str, tuple[Cell, ...]]:
    """Return the columns of a table, of equal length, with None for unknown cells.

    Per trial: its identity and end; its parameters as ``params/top_k``; the mean of every metric
    over its replicas at its last evaluation, and as ``val/accuracy_std`` their sample standard
    deviation (None for one replica); seconds used, as ``usage/cpu_s``. Per replica: its seed, and
    its own values there. Per report: the same at every evaluation.

    Args:
        table: The trials.
        per: Unit of a row. A trial that was not evaluated yet has no row per report.
    """
    chosen = {arm.name: table.chosen(arm.name) for arm in table.arms}
    rows = [
        {**_identity(table, trial, is_chosen=trial is chosen[trial.arm]), **cells}
        for trial in table.rows
        for cells in _ROW_BUILDERS[per](trial)
    ]
    names = (
        *_IDENTITY_COLUMNS,
        *_params(table),
        *_RESULT_COLUMNS[per],
        *_usage(table, per),
        *_metrics(table, per),
    )
    return {name: tuple(row.get(name) for row in rows) for name in names}


def _params(table: TrialTable) -> Iterable[str]:
    sources = (*(arm.dimensions for arm in table.arms), *(row.params for row in table.rows))
    return dict.fromkeys(f"params/{name}" for source in sources for name in source)


def _usage(table: TrialTable, per: Per) -> Iterable[str]:
    # Of all replicas together: repeated in the row of each, it would be counted twice.
    if per != "trial":
        return ()
    used = {name for row in table.rows for report in row.reports for name in report.usage}
    return [f"usage/{name}" for name in sorted(used) if name.endswith("_s")]


def _metrics(table: TrialTable, per: Per) -> Iterable[str]:
    names = sorted({name for row in table.rows for r in row.reports for name in r.metrics})
    if per != "trial":
        return names
    return [column for name in names for column in (name, f"{name}_std")]


def _trial_rows(trial: TrialRow) -> Iterator[dict[str, Cell]]:
    last = trial.reports[-1] if trial.reports else None
    is_finished = trial.finished_ms is not None
    yield {
        "seeds": json.dumps(trial.seeds),
        "epoch": last.epoch if last else None,
        "value": trial.value,
        "started": _time(trial.started_ms),
        "finished": _time(trial.finished_ms),
        "duration_s": ((trial.finished_ms or 0) - trial.started_ms) / 1000
        if is_finished
        else None,
        **{f"usage/{name}": trial.used(name) for r in trial.reports for name in r.usage},
        **(_means(last) if last else {}),
    }


def _replica_rows(trial: TrialRow) -> Iterator[dict[str, Cell]]:
    last = trial.reports[-1:]
    for replica, seed in enumerate(trial.seeds):
        values = _values(last[0], replica) if last else {}
        yield {"replica": replica, "seed": seed, **values}


def _report_rows(trial: TrialRow) -> Iterator[dict[str, Cell]]:
    for report in trial.reports:
        for replica, seed in enumerate(trial.seeds):
            yield {"replica": replica, "seed": seed, **_values(report, replica)}


_ROW_BUILDERS = {"trial": _trial_rows, "replica": _replica_rows, "report": _report_rows}


def _identity(table: TrialTable, trial: TrialRow, *, is_chosen: bool) -> dict[str, Cell]:
    arm = table.arm(trial.arm)
    return {
        "study": table.study,
        "arm": arm.name,
        "dataset": arm.dataset,
        "model": arm.model,
        "method": arm.method,
        "phase": trial.phase,
        "trial_number": trial.number,
        "sampler": arm.sampler if trial.phase == "search" and arm.dimensions else None,
        "state": trial.state,
        "reason": trial.reason,
        "is_chosen": is_chosen,
        **{f"params/{name}": value for name, value in trial.params.items()},
    }


def _values(report: StoredReport, replica: int) -> dict[str, Cell]:
    values = {name: replicas[replica] for name, replicas in report.metrics.items()}
    return {"epoch": report.epoch, "time": _time(report.time_ms), **values}


def _means(report: StoredReport) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for name, values in report.metrics.items():
        if all(map(math.isfinite, values)):
            found[name] = mean(values)
            found[f"{name}_std"] = std(values) if len(values) > 1 else None
    return found


def _time(time_ms: int | None) -> datetime | None:
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC)


def to_frame(columns: Mapping[str, Sequence[Cell]], table: TrialTable) -> pd.DataFrame:
    """Return columns as a data frame, with the facts of the study in its ``attrs``."""
    return with_study(typed_frame(columns), table)


def with_study(frame: pd.DataFrame, table: TrialTable) -> pd.DataFrame:
    """Set the ``attrs`` of a frame: study, objective, direction and environment."""
    frame.attrs = {
        "study": table.study,
        "objective": table.objective,
        "direction": table.direction,
        "environment": dict(table.environment),
    }
    return frame


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame as Parquet with its types and ``attrs``."""
    stream = io.BytesIO()
    frame.to_parquet(stream, engine="pyarrow", index=False)
    return stream.getvalue()
