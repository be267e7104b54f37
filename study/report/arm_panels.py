"""Panels of several arms, of their searches and of the study's cost."""

from __future__ import annotations

from functools import partial
from typing import Literal

from study import figures
from study.records.trial_table import ArmRow
from study.report.panel import (
    MissingPanel,
    PanelIterator,
    ReportPanel,
    ReportSource,
    file_stem,
    try_panel,
)
from study.report.sections.result_statements import main_metric
from study.report.summary_tables import cost_table
from study.report.tables import rank_table
from study.sensitivity import (
    arm_curves,
    arm_label,
    average_ranks,
    cost,
    dimension_symbol,
    search_points,
    shared_sweeps,
    workloads,
)

ACCURACIES = ("test/accuracy", "test/auc")
COSINE = ("filter_cosine/mean",)


def arms_over_dimensions(source: ReportSource) -> PanelIterator:
    """Show accuracy and AUC, and the filter cosine, of all arms that sweep the same dimension."""
    for dimension in shared_sweeps(source.table):
        for name, metrics in (("accuracy and AUC", ACCURACIES), ("filter cosine", COSINE)):
            title = (
                f"{name[0].upper()}{name[1:]} of several arms over {dimension_symbol(dimension)}"
            )
            yield try_panel(title, partial(_arms_panel, source, dimension, metrics, title))


def ranks(source: ReportSource) -> PanelIterator:
    """Rank the methods over the datasets of a study with several."""
    if len(workloads(source.table)) > 1:
        title = "Methods by rank over the datasets"
        yield try_panel(title, partial(_ranks_panel, source, title))


def _arms_panel(
    source: ReportSource, dimension: str, metrics: tuple[str, ...], title: str
) -> ReportPanel:
    record = arm_curves(source.table, dimension, metrics)
    curves = [curve for group in record.curves for curve in group]
    return ReportPanel(
        name=file_stem("arms-over", dimension, metrics[0]),
        title=title,
        arms=tuple(dict.fromkeys(curve.arm for curve in curves)),
        chart=figures.arm_curves.chart(record),
        records=(record,),
        notes=record.notes,
    )


def _ranks_panel(source: ReportSource, title: str) -> ReportPanel:
    record = average_ranks(source.table, main_metric(source.table))
    return ReportPanel(
        name="ranks",
        title=title,
        arms=tuple(arm.name for arm in source.table.arms),
        chart=figures.ranks.chart(record),
        tables=(rank_table(record),),
        records=(record,),
        notes=record.notes,
    )


def explored_regions(source: ReportSource) -> PanelIterator:
    """Show, for every arm that searches, its trials over each dimension and as lines."""
    for arm in source.table.arms:
        if not arm.dimensions:
            continue
        name = arm_label(arm.name, arm.method)
        title = f"Trials of the search of {name}"
        slices = try_panel(title, partial(_search_panel, source, arm, title, "slices"))
        yield slices
        # Both panels have the same requirements: the reason is given once.
        if not isinstance(slices, MissingPanel):
            title = f"Search of {name}, all dimensions"
            yield try_panel(title, partial(_search_panel, source, arm, title, "coordinates"))


def costs(source: ReportSource) -> PanelIterator:
    """Show the CPU and GPU hours by arm, phase and state of the trials."""
    yield try_panel("What the study cost", partial(_cost_panel, source))


def _cost_panel(source: ReportSource) -> ReportPanel:
    record = cost(source.table)
    return ReportPanel(
        name="cost",
        title="What the study cost",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=(cost_table(record),),
        records=(record,),
    )


def _search_panel(
    source: ReportSource, arm: ArmRow, title: str, kind: Literal["slices", "coordinates"]
) -> ReportPanel:
    record = search_points(source.table, arm.name)
    return ReportPanel(
        name=file_stem(arm.name, "search", kind),
        title=title,
        arms=(arm.name,),
        chart=getattr(figures.search_points, kind)(record),
        records=(record,),
    )
