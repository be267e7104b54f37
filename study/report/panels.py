"""The panels of a report in order: the comparison, every figure of FIGURES, and the cost."""

from __future__ import annotations

from functools import partial

from study.figures import FIGURES, Figure, ReportSource, Subject
from study.figures.rendering import specification
from study.report import tables
from study.report.figure_tables import tables_of
from study.report.panel import PanelIterator, ReportPanel, file_stem, try_panel
from study.report.summary_tables import cost_table
from study.sensitivity import (
    CONTROLS,
    ArmSampleIntervals,
    compare,
    cost,
    majority_class,
    sample_intervals,
    workloads,
)


def build_panels(source: ReportSource) -> PanelIterator:
    """Yield all panels of a study, and those that could not be made."""
    yield try_panel("Comparison with the controls", partial(_comparison_panel, source))
    for name in FIGURES:
        yield from figure_panels(name, source)
    yield try_panel("What the study cost", partial(_cost_panel, source))


def figure_panels(name: str, source: ReportSource) -> PanelIterator:
    """Yield the panels of a figure of FIGURES, one for each of its subjects."""
    figure = FIGURES[name]
    for subject in figure.subjects(source):
        yield try_panel(subject.title, partial(_figure_panel, name, figure, subject))


def _figure_panel(name: str, figure: Figure, subject: Subject) -> ReportPanel:
    record = subject.read()
    return ReportPanel(
        name=file_stem(*subject.name),
        title=subject.title,
        arms=subject.arms,
        place=figure.place,
        figure=name,
        is_folded=figure.is_folded,
        spec=specification(figure.chart(record)),
        caption=figure.caption(record),
        tables=tables_of(name, record),
        records=tuple(record) if isinstance(record, list | tuple) else (record,),
        notes=figure.notes(record),
    )


def _comparison_panel(source: ReportSource) -> ReportPanel:
    to_base, to_random = (compare(source.table, against=control) for control in CONTROLS)
    shown: list[tables.Table] = []
    sampled: list[ArmSampleIntervals] = []
    for workload in workloads(source.table):
        intervals = sample_intervals(source.table, workload)
        shown += [
            tables.comparison_table(to_base, workload, majority_class(source.table, workload)),
            tables.sample_interval_table(intervals, workload),
            tables.difference_table(to_base, workload),
            tables.difference_table(to_random, workload),
            tables.robust_table(to_base, workload),
        ]
        sampled += intervals
    return ReportPanel(
        name="comparison",
        title="Comparison with the controls",
        arms=tuple(arm.name for arm in source.table.arms),
        place="result",
        tables=tuple(table for table in shown if table.rows),
        records=(to_base, to_random, *sampled),
        notes=tuple(dict.fromkeys((*to_base.notes, *to_random.notes))),
    )


def _cost_panel(source: ReportSource) -> ReportPanel:
    record = cost(source.table)
    return ReportPanel(
        name="cost",
        title="What the study cost",
        arms=tuple(arm.name for arm in source.table.arms),
        place="method",
        is_folded=True,
        tables=(cost_table(record),),
        records=(record,),
    )
