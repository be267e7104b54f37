"""The paper's numbers with ours, and Challenger against its controls: records and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.labels import metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import (
    ABSENT,
    CONFIDENCE_PERCENT,
    format_corrected,
    format_interval,
)
from study.report.tables import Table, tabulate
from study.reproduction.paper_preset import PaperRow
from study.sensitivity import (
    CONTROLS,
    CorrectedDifference,
    Interval,
    compare,
    t_interval,
    workloads,
)
from study.sensitivity.intervals import last_values

Outcome = Literal["better", "worse", "no difference shown", "no result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedValue:
    """A printed number with our interval, in the metric's own unit; None without a result."""

    paper: PaperRow
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTest:
    """The comparison of an arm with a control on its dataset and model.

    Attributes:
        against: ``base`` or ``random``.
        difference: Arm minus control, Holm-corrected; None without a result.
        outcome: Conclusion at 5 %.
    """

    arm: str
    against: str
    metric: str
    difference: CorrectedDifference | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReference:
    """The reference of a reproduction.

    Attributes:
        unknown: Settings that the paper does not state.
        rows: Printed numbers; empty if the paper prints none.
        deviations: Arm to the settings in which it differs from the paper's.
        settings: Digest of the study's settings.
        code: Digest of the training code.
    """

    preset: str
    scale: str
    unknown: str
    rows: tuple[PaperRow, ...]
    deviations: Mapping[str, tuple[str, ...]]
    settings: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction(Tabular):
    """The results of a study with the paper's.

    Attributes:
        control_tests: Challenger against its controls.
        environment: Versions and hardware of the study.
    """

    reference: PaperReference
    values: tuple[ReproducedValue, ...]
    control_tests: tuple[ControlTest, ...]
    environment: Mapping[str, str]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per printed number and per control test, with the environment."""
        for value in self.values:
            paper = value.paper
            facts = {"paper": paper.value, "note": paper.note, "against": None, "p": None}
            yield self._row(paper.row, paper.arm, paper.metric, value.interval, facts)
        for test in self.control_tests:
            found = test.difference
            facts = {
                "paper": None,
                "note": test.outcome,
                "against": test.against,
                "p": None if found is None else found.p_holm,
            }
            interval = None if found is None else found.difference.interval
            name = f"{test.arm} minus {test.against}"
            yield self._row(name, test.arm, test.metric, interval, facts)

    def _row(self, row: str, arm: str, metric: str, interval: Interval | None, facts: Row) -> Row:
        return {
            "preset": self.reference.preset,
            "scale": self.reference.scale,
            "settings": self.reference.settings,
            "code": self.reference.code,
            "row": row,
            "arm": arm,
            "metric": metric,
            "factor": metric_label(metric).factor,
            "ours": None if interval is None else interval.mean,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "n": None if interval is None else interval.n,
            **facts,
            "differs": "; ".join(self.reference.deviations.get(arm, ())),
            **{f"environment/{key}": fact for key, fact in self.environment.items()},
        }


def reproduce(table: TrialTable, reference: PaperReference) -> Reproduction:
    """Compare a study's trials with the paper's numbers."""
    return Reproduction(
        reference=reference,
        values=tuple(
            ReproducedValue(paper=row, interval=_reproduced_interval(table, row))
            for row in reference.rows
        ),
        control_tests=tuple(
            test for against in CONTROLS for test in _control_tests(table, against)
        ),
        environment=table.environment,
    )


def _reproduced_interval(table: TrialTable, row: PaperRow) -> Interval | None:
    chosen = table.chosen(row.arm)
    if chosen is None or chosen.last(row.metric) is None:
        return None
    return t_interval(last_values(chosen, row.metric).values)


def _control_tests(table: TrialTable, against: str) -> Iterator[ControlTest]:
    metric = table.objective.replace("val/", "test/")
    try:
        comparison = compare(table, (metric,), against=against)
    except ReportError:
        comparison = None
    for workload in workloads(table):
        if not any(arm.method == against for arm in workload.arms):
            continue
        for arm in (arm for arm in workload.arms if arm.method == "challenger"):
            found = None if comparison is None else comparison.row(arm.name).get(metric)
            difference = None if found is None else found.to_control
            yield ControlTest(
                arm=arm.name,
                against=against,
                metric=metric,
                difference=difference,
                outcome=_outcome(difference, metric),
            )


def _outcome(difference: CorrectedDifference | None, metric: str) -> Outcome:
    if difference is None:
        return "no result"
    if not difference.is_significant:
        return "no difference shown"
    sign = 1 if metric_label(metric).direction == "maximize" else -1
    return "better" if sign * difference.difference.interval.mean > 0 else "worse"


_SHORT_NAMES = {"dataset": "data", "search": "trials", "sensitivity": "sweep"}
_UNSPLIT = ("evaluation", "replicas")


def reproduction_tables(record: Reproduction) -> tuple[Table, ...]:
    """Build the tables of printed numbers, of deviations, and of Challenger's control tests."""
    tables = [_paper_table(record)] if record.values else []
    if any(record.reference.deviations.values()):
        tables.append(_deviation_table(record.reference))
    if record.control_tests:
        tables.append(_control_test_table(record))
    return tuple(tables)


def _paper_table(record: Reproduction) -> Table:
    reference = record.reference
    return tabulate(
        f"{reference.preset} at scale {reference.scale}, with the paper's numbers",
        record.values,
        [
            ("Row", lambda one: one.paper.row),
            ("Metric", lambda one: metric_label(one.paper.metric).axis),
            ("Paper", lambda one: f"{one.paper.value:g}"),
            (
                f"Ours [{CONFIDENCE_PERCENT} interval]",
                lambda one: (
                    format_interval(one.interval, one.paper.metric) if one.interval else ABSENT
                ),
            ),
            ("n", lambda one: str(one.interval.n) if one.interval else ABSENT),
            ("Differs in", lambda one: _deviation_cell(reference, one.paper)),
        ],
        f"Ours: mean over n replicas on fresh seeds. The paper states neither replicas nor "
        f"intervals of training. Not stated in the paper, and therefore searched or chosen here: "
        f"{reference.unknown}",
    )


def _deviation_cell(reference: PaperReference, paper: PaperRow) -> str:
    names = dict.fromkeys(map(_short_name, reference.deviations.get(paper.arm, ())))
    parts = [", ".join(names), paper.note or ""]
    return "; ".join(filter(None, parts)) or "nothing that the paper states"


def _deviation_table(reference: PaperReference) -> Table:
    arms_of: dict[tuple[str, ...], list[str]] = {}
    for arm, deviations in reference.deviations.items():
        if deviations:
            arms_of.setdefault(deviations, []).append(arm)
    return tabulate(
        "Deviations from the paper's settings",
        arms_of.items(),
        [
            ("Arms", lambda item: ", ".join(item[1])),
            ("Setting there → here", lambda item: "; ".join(item[0])),
        ],
        "Settings that the paper does not state are the preset's at scale full.",
    )


def _short_name(deviation: str) -> str:
    """Return the short name of a deviation: ``model.width 1 → 0.25`` is the width."""
    path = deviation.split(" ")[0]
    first = path.split(".")[0]
    if first in _UNSPLIT:
        return first
    return _SHORT_NAMES.get(first, path.rpartition(".")[2])


def _control_test_table(record: Reproduction) -> Table:
    return tabulate(
        "Challenger against its controls",
        record.control_tests,
        [
            ("Arm", lambda test: test.arm),
            ("Against", lambda test: test.against.capitalize()),
            ("Metric", lambda test: metric_label(test.metric).title),
            (
                f"Difference [{CONFIDENCE_PERCENT} interval]",
                lambda test: format_corrected(test.difference, test.metric),
            ),
            ("Outcome", lambda test: test.outcome),
        ],
        "Paired by seed; better or worse where the interval excludes 0 and the Holm-corrected p "
        "is below 0.05.",
    )
