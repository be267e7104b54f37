"""The paper's numbers beside ours, and Challenger against its controls: records and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.report.csv_rows import Cell, CsvRows
from study.report.formatting import CONFIDENCE_PERCENT, format_interval, p_value
from study.report.tables import Table
from study.reproduction.paper_preset import PaperRow
from study.sensitivity import (
    CONTROLS,
    CorrectedDifference,
    Interval,
    compare,
    metric_label,
    t_interval,
    workloads,
)
from study.sensitivity.intervals import last_values

Outcome = Literal["better", "worse", "no difference shown", "no result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedValue:
    """One number of the paper beside ours.

    Attributes:
        paper: What the paper prints.
        interval: Ours in the metric's own unit, mean over replicas with its interval; None if the
            arm has no result.
    """

    paper: PaperRow
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTest:
    """Whether an arm beat a control on its dataset and model.

    Attributes:
        arm: Name of the arm.
        against: ``base`` or ``random``.
        metric: Key of the metric.
        difference: Arm minus control, Holm-corrected; None without a result.
        outcome: What it shows at 5 %.
    """

    arm: str
    against: str
    metric: str
    difference: CorrectedDifference | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A table or figure of the paper, run again.

    Attributes:
        preset: Its name.
        scale: Scale at which it was run.
        unknown: What the paper does not state.
        rows: Printed numbers beside ours; empty if the paper prints none.
        differs: Arm to the settings in which it differs from the paper's.
        verdicts: Challenger against its controls.
        environment: What it was run with.
    """

    preset: str
    scale: str
    unknown: str
    rows: tuple[ReproducedValue, ...]
    deviations: Mapping[str, tuple[str, ...]]
    control_tests: tuple[ControlTest, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReference:
    """What a reproduction is held against.

    Attributes:
        preset: Name of the preset.
        scale: Scale of the study.
        unknown: What the paper does not state.
        rows: What the paper prints.
        differs: Arm to the settings in which it differs from the paper's.
    """

    preset: str
    scale: str
    unknown: str
    rows: tuple[PaperRow, ...]
    deviations: Mapping[str, tuple[str, ...]]


def reproduce(table: TrialTable, reference: PaperReference) -> Reproduction:
    """Hold a study's trials against the paper's numbers."""
    return Reproduction(
        preset=reference.preset,
        scale=reference.scale,
        unknown=reference.unknown,
        rows=tuple(
            ReproducedValue(paper=row, interval=_reproduced_interval(table, row))
            for row in reference.rows
        ),
        deviations=reference.deviations,
        control_tests=tuple(
            verdict for against in CONTROLS for verdict in _control_tests(table, against)
        ),
        environment=table.environment,
    )


def _reproduced_interval(table: TrialTable, row: PaperRow) -> Interval | None:
    chosen = table.chosen(row.arm)
    if chosen is None or chosen.last(row.metric) is None:
        return None
    return t_interval(last_values(chosen, row.metric).values)


def _control_tests(table: TrialTable, against: str) -> list[ControlTest]:
    metric = table.objective.replace("val/", "test/")
    arms = [
        arm
        for workload in workloads(table)
        for arm in workload.arms
        if arm.method == "challenger" and any(a.method == against for a in workload.arms)
    ]
    try:
        comparison = compare(table, (metric,), against=against)
    except ReportError:
        return [_missing_control_test(arm.name, against, metric) for arm in arms]
    found = []
    for arm in arms:
        measurement = comparison.row(arm.name).get(metric)
        difference = measurement.to_control if measurement else None
        if difference is None:
            found.append(_missing_control_test(arm.name, against, metric))
        else:
            outcome = _outcome(difference, metric)
            found.append(
                ControlTest(
                    arm=arm.name,
                    against=against,
                    metric=metric,
                    difference=difference,
                    outcome=outcome,
                )
            )
    return found


def _outcome(difference: CorrectedDifference, metric: str) -> Outcome:
    if not difference.is_significant:
        return "no difference shown"
    sign = 1 if metric_label(metric).direction == "maximize" else -1
    return "better" if sign * difference.difference.interval.mean > 0 else "worse"


def _missing_control_test(arm: str, against: str, metric: str) -> ControlTest:
    return ControlTest(
        arm=arm, against=against, metric=metric, difference=None, outcome="no result"
    )


_ABSENT = "–"
_SHORT_NAMES = {
    "dataset": "data",
    "evaluation": "evaluation",
    "replicas": "replicas",
    "search": "trials",
    "sensitivity": "sweep",
}


def reproduction_tables(record: Reproduction) -> tuple[Table, ...]:
    """Show the paper's numbers beside ours, what differs, and Challenger against its controls."""
    tables = [_paper_table(record)] if record.rows else []
    if any(record.deviations.values()):
        tables.append(_difference_table(record))
    if record.control_tests:
        tables.append(_control_test_table(record))
    return tuple(tables)


def reproduction_csv(record: Reproduction) -> CsvRows:
    """Give one row per printed number, with what it was run with."""
    return tuple(
        {
            "preset": record.preset,
            "scale": record.scale,
            "row": row.paper.row,
            "arm": row.paper.arm,
            "metric": row.paper.metric,
            "paper": row.paper.value,
            "factor": metric_label(row.paper.metric).factor,
            **_interval_cells(row.interval),
            "differs": "; ".join(record.deviations.get(row.paper.arm, ())),
            "note": row.paper.note,
            **{f"environment/{key}": value for key, value in record.environment.items()},
        }
        for row in record.rows
    )


def _interval_cells(interval: Interval | None) -> dict[str, Cell]:
    if interval is None:
        return {}
    return {"ours": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n}


def _paper_table(record: Reproduction) -> Table:
    return Table(
        title=f"{record.preset} at scale {record.scale}, beside the paper",
        columns=(
            "Row",
            "Metric",
            "Paper",
            f"Ours [{CONFIDENCE_PERCENT} interval]",
            "n",
            "Differs in",
        ),
        rows=tuple(_row(record, row) for row in record.rows),
        note=f"Ours: mean over n replicas on fresh seeds. The paper states neither replicas nor "
        f"intervals of training. Not stated in the paper, and therefore searched or chosen here: "
        f"{record.unknown}",
    )


def _row(record: Reproduction, row: ReproducedValue) -> tuple[str, ...]:
    metric = row.paper.metric
    words = dict.fromkeys(map(_short_name, record.deviations.get(row.paper.arm, ())))
    deviations = [", ".join(words)] if words else []
    deviations += [row.paper.note] if row.paper.note else []
    return (
        row.paper.row,
        metric_label(metric).axis,
        f"{row.paper.value:g}",
        _ABSENT if row.interval is None else format_interval(row.interval, metric),
        _ABSENT if row.interval is None else str(row.interval.n),
        "; ".join(deviations) or "nothing that the paper states",
    )


def _difference_table(record: Reproduction) -> Table:
    arms_of: dict[tuple[str, ...], list[str]] = {}
    for arm, deviations in record.deviations.items():
        if deviations:
            arms_of.setdefault(deviations, []).append(arm)
    return Table(
        title="What differs from the setting that stands for the paper's",
        columns=("Arms", "Setting there → here"),
        rows=tuple(
            (", ".join(arms), "; ".join(deviations)) for deviations, arms in arms_of.items()
        ),
        note="Settings that the paper does not state are the preset's at scale full.",
    )


def _short_name(difference: str) -> str:
    """Say in a word what a difference is about: ``model.width 1 → 0.25`` is the width."""
    path = difference.split(" ")[0]
    return _SHORT_NAMES.get(path.split(".")[0], path.rpartition(".")[2])


def _control_test_table(record: Reproduction) -> Table:
    return Table(
        title="Challenger against its controls",
        columns=(
            "Arm",
            "Against",
            "Metric",
            f"Difference [{CONFIDENCE_PERCENT} interval]",
            "Outcome",
        ),
        rows=tuple(_control_test_row(verdict) for verdict in record.control_tests),
        note="Paired by seed; better or worse where the interval leaves out 0 and Holm's "
        "corrected p is below 0.05.",
    )


def _control_test_row(verdict: ControlTest) -> tuple[str, ...]:
    difference = verdict.difference
    if difference is None:
        shown = _ABSENT
    else:
        interval = format_interval(difference.difference.interval, verdict.metric, is_signed=True)
        shown = f"{interval}, {p_value(difference.p_holm)}"
    return (
        verdict.arm,
        verdict.against.capitalize(),
        metric_label(verdict.metric).title,
        shown,
        verdict.outcome,
    )
