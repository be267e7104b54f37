"""The panels of a report in order: one function and one line of PANELS per kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from study import figures
from study.records.errors import ReportError
from study.records.trial_table import ArmRow
from study.report import (
    arm_panels,
    importance_panels,
    mechanism_panels,
    tables,
)
from study.report.panel import PanelIterator, ReportPanel, ReportSource, file_stem, try_panel
from study.report.summary_tables import transfer_table
from study.sensitivity import (
    CONTROLS,
    OCCLUSION_ORDERS,
    ArmSampleIntervals,
    DimensionCurve,
    Workload,
    arm_label,
    compare,
    dimension_symbol,
    filter_cosine,
    filter_cosine_over_dimension,
    majority_class,
    occluded_workloads,
    read_attribution_maps,
    robustness,
    sample_intervals,
    search_history,
    sweep_curve,
    swept_dimensions,
    transfer,
    transfer_methods,
    workloads,
)

CURVE_METRICS = ("test/accuracy", "test/auc")
"""The panels of a curve over a dimension, as in the paper's figure 4."""


def comparison(source: ReportSource) -> PanelIterator:
    """Compare all arms with their controls, in one panel for the whole study."""
    yield try_panel("Comparison with the controls", partial(_comparison_panel, source))


def dimension_curves(source: ReportSource) -> PanelIterator:
    """Show test accuracy and AUC over every swept dimension."""
    for arm, dimension in _sweeps(source):
        title = f"{_label(arm)}: sensitivity to {dimension_symbol(dimension)}"
        yield try_panel(title, partial(_curves_panel, source, arm, dimension, title))


def transfers(source: ReportSource) -> PanelIterator:
    """Show the configurations that arms of a method chose on each other's datasets."""
    for method in transfer_methods(source.table):
        title = f"{arm_label(method, method)}: configurations from other datasets"
        yield try_panel(title, partial(_transfer_panel, source, method, title))


def occlusions(source: ReportSource) -> PanelIterator:
    """Show the test metric over the hidden share, for models that were tested with it."""
    for workload in occluded_workloads(source.table):
        title = f"Robustness to hidden inputs on {workload.dataset}, {workload.model}"
        yield try_panel(title, partial(_occlusion_panel, source, workload, title))


def filter_cosines(source: ReportSource) -> PanelIterator:
    """Show the filter cosine per layer and arm, for every dataset and model."""
    for workload in workloads(source.table):
        title = f"Filter cosine on {workload.dataset}, {workload.model}"
        yield try_panel(title, partial(_filter_cosine_panel, source, workload, title))


def filter_cosine_curves(source: ReportSource) -> PanelIterator:
    """Show the filter cosine per layer over every swept dimension."""
    for arm, dimension in _sweeps(source):
        title = f"{_label(arm)}: filter cosine over {dimension_symbol(dimension)}"
        yield try_panel(title, partial(_filter_cosine_curves_panel, source, arm, dimension, title))


def attribution_maps(source: ReportSource) -> PanelIterator:
    """Show the maps of the controls and each further arm side by side."""
    for workload in workloads(source.table):
        others = [arm for arm in workload.arms if arm.method not in CONTROLS]
        for arm in others or workload.arms[:1]:
            title = f"Attribution maps of {_label(arm)} on {workload.dataset}"
            yield try_panel(title, partial(_attribution_maps_panel, source, workload, arm, title))


def search_histories(source: ReportSource) -> PanelIterator:
    """Show the search of every arm that has dimensions."""
    for arm in source.table.arms:
        if arm.dimensions:
            title = f"Search of {_label(arm)}"
            yield try_panel(title, partial(_history_panel, source, arm, title))


PANELS: Mapping[str, Callable[[ReportSource], PanelIterator]] = MappingProxyType(
    {
        "comparison": comparison,
        "ranks": arm_panels.ranks,
        "dimension_curves": dimension_curves,
        "arms_over_dimensions": arm_panels.arms_over_dimensions,
        "importances": importance_panels.importances,
        "interactions": importance_panels.pair_interactions,
        "partial_dependences": importance_panels.partial_dependences,
        "transfers": transfers,
        "occlusions": occlusions,
        "filter_cosines": filter_cosines,
        "filter_cosine_curves": filter_cosine_curves,
        "filter_cosines_over_epochs": mechanism_panels.filter_cosines_over_epochs,
        "cosines_and_accuracies": mechanism_panels.cosines_and_accuracies,
        "attribution_maps": attribution_maps,
        "search_histories": search_histories,
        "explored_regions": arm_panels.explored_regions,
        "costs": arm_panels.costs,
    }
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
    shown = [table for table in shown if table.rows]
    return ReportPanel(
        name="comparison",
        title="Comparison with the controls",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=tuple(shown),
        records=(to_base, to_random, *sampled),
        notes=tuple(dict.fromkeys((*to_base.notes, *to_random.notes))),
    )


def _curves_panel(source: ReportSource, arm: ArmRow, dimension: str, title: str) -> ReportPanel:
    curves = [sweep_curve(source.table, arm.name, dimension, m) for m in CURVE_METRICS]
    return ReportPanel(
        name=file_stem(arm.name, "over", dimension),
        title=title,
        arms=(arm.name,),
        chart=figures.dimension_curve.chart(curves),
        tables=tuple(tables.curve_table(curve) for curve in curves),
        records=tuple(curves),
        notes=_notes(curves),
    )


def _transfer_panel(source: ReportSource, method: str, title: str) -> ReportPanel:
    record = transfer(source.table, method)
    return ReportPanel(
        name=file_stem(method, "transfer"),
        title=title,
        arms=tuple(target.arm for target in record.targets),
        chart=figures.transfer.chart(record),
        tables=tuple(transfer_table(record, target) for target in record.targets),
        records=(record,),
        notes=record.notes,
    )


def _occlusion_panel(source: ReportSource, workload: Workload, title: str) -> ReportPanel:
    record = robustness(source.table, workload)
    shown = [
        show(record, order)
        for order in OCCLUSION_ORDERS
        for show in (tables.occlusion_table, tables.occlusion_difference_table)
    ]
    return ReportPanel(
        name=file_stem("robustness", workload.dataset, workload.model),
        title=title,
        arms=tuple(arm.name for arm in workload.arms),
        chart=figures.robustness.chart(record),
        tables=tuple(table for table in shown if table.rows),
        records=(record,),
        notes=record.notes,
    )


def _filter_cosine_panel(source: ReportSource, workload: Workload, title: str) -> ReportPanel:
    record = filter_cosine(source.table, workload)
    return ReportPanel(
        name=file_stem("filter-cosine", workload.dataset, workload.model),
        title=title,
        arms=tuple(arm.name for arm in workload.arms),
        chart=figures.filter_cosine.chart(record),
        tables=(tables.filter_cosine_table(record),),
        records=(record,),
        notes=record.notes,
    )


def _filter_cosine_curves_panel(
    source: ReportSource, arm: ArmRow, dimension: str, title: str
) -> ReportPanel:
    record = filter_cosine_over_dimension(source.table, arm.name, dimension)
    return ReportPanel(
        name=file_stem(arm.name, "filter-cosine-over", dimension),
        title=title,
        arms=(arm.name,),
        chart=figures.filter_cosine_over_dimension.chart(record),
        records=(record,),
        notes=_notes(record.curves),
    )


def _attribution_maps_panel(
    source: ReportSource, workload: Workload, arm: ArmRow, title: str
) -> ReportPanel:
    names, notes = [], []
    for control in (other for other in workload.arms if other.method in CONTROLS and other != arm):
        try:
            read_attribution_maps(source.table, source.folder, [control.name])
        except ReportError as error:
            notes.append(str(error))
        else:
            names.append(control.name)
    names.append(arm.name)
    record = read_attribution_maps(source.table, source.folder, names)
    return ReportPanel(
        name=file_stem(arm.name, "attribution-maps"),
        title=title,
        arms=tuple(names),
        caption=figures.attribution_maps.caption(record),
        image=figures.attribution_maps.draw(record),
        records=(record,),
        notes=tuple(notes),
    )


def _history_panel(source: ReportSource, arm: ArmRow, title: str) -> ReportPanel:
    record = search_history(source.table, arm.name)
    return ReportPanel(
        name=file_stem(arm.name, "search-history"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_history.chart(record),
        tables=(tables.history_table(record),),
        records=(record,),
    )


def _sweeps(source: ReportSource) -> Iterator[tuple[ArmRow, str]]:
    for arm in source.table.arms:
        for dimension in swept_dimensions(source.table, arm):
            yield arm, dimension


def _notes(curves: list[DimensionCurve] | tuple[DimensionCurve, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(f"Arm '{curve.arm}': {note}" for curve in curves for note in curve.notes)
    )


def _label(arm: ArmRow) -> str:
    return arm_label(arm.name, arm.method)
