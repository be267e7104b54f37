"""Panels of several arms side by side, of their searches and of the study's cost."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from study import figures
from study.records.trial_table import ArmRow
from study.report.csv_rows import CsvRows, curve_rows
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
from study.report.tables import Table
from study.sensitivity import (
    AverageRanks,
    SearchPoints,
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
    """Rank the methods over the datasets; nothing where the study has only one."""
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
        rows=curve_rows(curves),
        notes=record.notes,
    )


def _ranks_panel(source: ReportSource, title: str) -> ReportPanel:
    record = average_ranks(source.table, main_metric(source.table))
    return ReportPanel(
        name="ranks",
        title=title,
        arms=tuple(arm.name for arm in source.table.arms),
        chart=figures.ranks.chart(record),
        tables=(_rank_table(record),),
        rows=_rank_rows(record),
        notes=record.notes,
    )


def _rank_table(record: AverageRanks) -> Table:
    return Table(
        title=f"Ranks by {record.metric}",
        columns=("Method", "Mean rank", *record.workloads),
        rows=tuple(
            (
                arm_label(one.method, one.method),
                f"{one.rank:.2f}",
                *(f"{rank:g}" for rank in one.ranks),
            )
            for one in record.methods
        ),
        note=f"1 is best; each method by its mean over replicas. Mean ranks at least "
        f"{record.critical_difference:.2f} apart differ at 5% (Nemenyi).",
    )


def _rank_rows(record: AverageRanks) -> CsvRows:
    return tuple(
        {
            "method": one.method,
            "metric": record.metric,
            "mean_rank": one.rank,
            "critical_difference": record.critical_difference,
            "p_value": record.p_value,
            **{
                f"rank/{name}": rank
                for name, rank in zip(record.workloads, one.ranks, strict=True)
            },
        }
        for one in record.methods
    )


def explored_regions(source: ReportSource) -> PanelIterator:
    """Show, for every arm that searches, its trials over each dimension and as lines."""
    for arm in source.table.arms:
        if not arm.dimensions:
            continue
        name = arm_label(arm.name, arm.method)
        title = f"Where the search of {name} has been"
        slices = try_panel(title, partial(_slices_panel, source, arm, title))
        yield slices
        # Said once: what one lacks the other lacks too.
        if not isinstance(slices, MissingPanel):
            title = f"Search of {name}, all dimensions side by side"
            yield try_panel(title, partial(_coordinates_panel, source, arm, title))


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
        rows=tuple(asdict(row) for row in record.rows),
    )


def _slices_panel(source: ReportSource, arm: ArmRow, title: str) -> ReportPanel:
    record = search_points(source.table, arm.name)
    return ReportPanel(
        name=file_stem(arm.name, "search-slices"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_points.slices(record),
        rows=_search_point_rows(record),
    )


def _coordinates_panel(source: ReportSource, arm: ArmRow, title: str) -> ReportPanel:
    record = search_points(source.table, arm.name)
    return ReportPanel(
        name=file_stem(arm.name, "search-coordinates"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_points.coordinates(record),
        rows=_search_point_rows(record),
    )


def _search_point_rows(record: SearchPoints) -> CsvRows:
    return tuple(
        {
            "arm": record.arm,
            "trial_number": point.number,
            "state": point.state,
            record.objective: point.value,
            "is_best": point.number == record.best,
            **{f"params/{name}": value for name, value in point.params.items()},
        }
        for point in record.points
    )
