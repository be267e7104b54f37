"""What a report shows, in order: the comparison, every figure of FIGURES, and the costs."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from study.figures import FIGURES, Figure, ReportSource, Subject
from study.figures.rendering import specification
from study.report import csv_rows, tables
from study.report.figure_numbers import numbers_behind
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


def exhibits(source: ReportSource) -> PanelIterator:
    """Return all that can be shown of a study, and what is missing."""
    yield try_panel("Comparison with the controls", partial(_comparison_panel, source))
    for name in FIGURES:
        yield from drawn(name, source)
    yield try_panel("What the study cost", partial(_cost, source))


def drawn(name: str, source: ReportSource) -> PanelIterator:
    """Return a figure of FIGURES for each of its subjects."""
    figure = FIGURES[name]
    for subject in figure.subjects(source):
        yield try_panel(subject.title, partial(_draw, name, figure, subject))


def _draw(name: str, figure: Figure, subject: Subject) -> ReportPanel:
    record = subject.read()
    shown, rows = numbers_behind(name, record)
    return ReportPanel(
        name=file_stem(*subject.name),
        title=subject.title,
        arms=subject.arms,
        spec=specification(figure.chart(record)),
        caption=figure.caption(record),
        tables=shown,
        rows=rows,
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
        ]
        sampled += intervals
    return ReportPanel(
        name="comparison",
        title="Comparison with the controls",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=tuple(table for table in shown if table.rows),
        rows=csv_rows.comparison_rows((to_base, to_random))
        + csv_rows.sample_interval_rows(sampled),
        notes=tuple(dict.fromkeys((*to_base.notes, *to_random.notes))),
    )


def _cost(source: ReportSource) -> ReportPanel:
    record = cost(source.table)
    return ReportPanel(
        name="cost",
        title="What the study cost",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=(cost_table(record),),
        rows=tuple(asdict(row) for row in record.rows),
    )
