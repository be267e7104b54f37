"""The paper's numbers beside ours, and where Challenger did not beat its controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from study.errors import ReportError
from study.reproduction.preset import PaperRow
from study.sensitivity import (
    CONTROLS,
    CorrectedDifference,
    Interval,
    compare,
    metric_label,
    settings,
    t_interval,
)
from study.sensitivity.replicas import last_values
from study.trial_table import TrialTable

Outcome = Literal["better", "worse", "no difference shown", "no result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """One number of the paper beside ours.

    Attributes:
        paper: What the paper prints.
        interval: Ours in the metric's own unit, mean over replicas with its interval; None if the
            arm has no result.
    """

    paper: PaperRow
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
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
    rows: tuple[Reproduced, ...]
    differs: Mapping[str, tuple[str, ...]]
    verdicts: tuple[Verdict, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
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
    differs: Mapping[str, tuple[str, ...]]


def reproduce(table: TrialTable, printed: Printed) -> Reproduction:
    """Hold a study's trials against the paper's numbers."""
    return Reproduction(
        preset=printed.preset,
        scale=printed.scale,
        unknown=printed.unknown,
        rows=tuple(Reproduced(paper=row, interval=_ours(table, row)) for row in printed.rows),
        differs=printed.differs,
        verdicts=tuple(verdict for against in CONTROLS for verdict in _verdicts(table, against)),
        environment=table.environment,
    )


def _ours(table: TrialTable, row: PaperRow) -> Interval | None:
    chosen = table.chosen(row.arm)
    if chosen is None or chosen.last(row.metric) is None:
        return None
    return t_interval(last_values(chosen, row.metric).values)


def _verdicts(table: TrialTable, against: str) -> list[Verdict]:
    metric = table.objective.replace("val/", "test/")
    arms = [
        arm
        for setting in settings(table)
        for arm in setting.arms
        if arm.method == "challenger" and any(a.method == against for a in setting.arms)
    ]
    try:
        comparison = compare(table, (metric,), against=against)
    except ReportError:
        return [_without_result(arm.name, against, metric) for arm in arms]
    found = []
    for arm in arms:
        measurement = comparison.row(arm.name).get(metric)
        difference = measurement.to_control if measurement else None
        if difference is None:
            found.append(_without_result(arm.name, against, metric))
        else:
            outcome = _outcome(difference, metric)
            found.append(
                Verdict(
                    arm=arm.name,
                    against=against,
                    metric=metric,
                    difference=difference,
                    outcome=outcome,
                )
            )
    return found


def _outcome(difference: CorrectedDifference, metric: str) -> Outcome:
    if not difference.is_shown:
        return "no difference shown"
    sign = 1 if metric_label(metric).direction == "maximise" else -1
    return "better" if sign * difference.difference.interval.mean > 0 else "worse"


def _without_result(arm: str, against: str, metric: str) -> Verdict:
    return Verdict(arm=arm, against=against, metric=metric, difference=None, outcome="no result")
