"""What a report shows, in order: one function and one line of EXHIBITS per kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from study import figures
from study.errors import ReportError
from study.report import (
    arms_exhibits,
    csv_rows,
    global_exhibits,
    mechanism_exhibits,
    search_exhibits,
    tables,
)
from study.report.exhibit import Exhibit, Made, Source, attempt, stem
from study.report.transfer_table import transfer_table
from study.sensitivity import (
    CONTROLS,
    OCCLUSION_ORDERS,
    ArmSampleIntervals,
    DimensionCurve,
    Setting,
    arm_label,
    compare,
    dimension_symbol,
    filter_cosine,
    filter_cosine_over_dimension,
    majority_class,
    occluded_settings,
    over_dimension,
    read_attribution_maps,
    robustness,
    sample_intervals,
    search_history,
    settings,
    swept_dimensions,
    transfer,
    transfer_methods,
)
from study.trial_table import ArmRow

CURVE_METRICS = ("test/accuracy", "test/auc")
"""The panels of a curve over a dimension, as in the paper's figure 4."""


def comparison(source: Source) -> Made:
    """Compare all arms with their controls, in one exhibit for the whole study."""
    yield attempt("Comparison with the controls", partial(_comparison, source))


def dimension_curves(source: Source) -> Made:
    """Show test accuracy and AUC over every swept dimension."""
    for arm, dimension in _sweeps(source):
        title = f"{_label(arm)}: sensitivity to {dimension_symbol(dimension)}"
        yield attempt(title, partial(_curves, source, arm, dimension, title))


def transfers(source: Source) -> Made:
    """Show the settings that arms of a method chose on each other's datasets."""
    for method in transfer_methods(source.table):
        title = f"{arm_label(method, method)}: settings found elsewhere"
        yield attempt(title, partial(_transfer, source, method, title))


def occlusions(source: Source) -> Made:
    """Show the test metric over the hidden share, wherever models were tested with it."""
    for setting in occluded_settings(source.table):
        title = f"Robustness to hidden inputs on {setting.dataset}, {setting.model}"
        yield attempt(title, partial(_occlusion, source, setting, title))


def filter_cosines(source: Source) -> Made:
    """Show the filter cosine per layer and arm, for every dataset and model."""
    for setting in settings(source.table):
        title = f"Filter cosine on {setting.dataset}, {setting.model}"
        yield attempt(title, partial(_filter_cosine, source, setting, title))


def filter_cosine_curves(source: Source) -> Made:
    """Show the filter cosine per layer over every swept dimension."""
    for arm, dimension in _sweeps(source):
        title = f"{_label(arm)}: filter cosine over {dimension_symbol(dimension)}"
        yield attempt(title, partial(_filter_cosine_curves, source, arm, dimension, title))


def attribution_maps(source: Source) -> Made:
    """Show the maps of the controls and each further arm side by side."""
    for setting in settings(source.table):
        others = [arm for arm in setting.arms if arm.method not in CONTROLS]
        for arm in others or setting.arms[:1]:
            title = f"Attribution maps of {_label(arm)} on {setting.dataset}"
            yield attempt(title, partial(_attribution_maps, source, setting, arm, title))


def search_histories(source: Source) -> Made:
    """Show the search of every arm that has dimensions."""
    for arm in source.table.arms:
        if arm.dimensions:
            title = f"Search of {_label(arm)}"
            yield attempt(title, partial(_history, source, arm, title))


EXHIBITS: Mapping[str, Callable[[Source], Made]] = MappingProxyType(
    {
        "comparison": comparison,
        "ranks": arms_exhibits.ranks,
        "dimension_curves": dimension_curves,
        "arms_over_dimensions": arms_exhibits.arms_over_dimensions,
        "importances": global_exhibits.importances,
        "interactions": global_exhibits.pair_interactions,
        "partial_dependences": global_exhibits.partial_dependences,
        "transfers": transfers,
        "occlusions": occlusions,
        "filter_cosines": filter_cosines,
        "filter_cosine_curves": filter_cosine_curves,
        "filter_cosines_over_epochs": mechanism_exhibits.filter_cosines_over_epochs,
        "cosines_and_accuracies": mechanism_exhibits.cosines_and_accuracies,
        "attribution_maps": attribution_maps,
        "search_histories": search_histories,
        "explored_regions": search_exhibits.explored_regions,
        "costs": search_exhibits.costs,
    }
)


def _comparison(source: Source) -> Exhibit:
    to_base, to_random = (compare(source.table, against=control) for control in CONTROLS)
    shown: list[tables.Table] = []
    sampled: list[ArmSampleIntervals] = []
    for setting in settings(source.table):
        intervals = sample_intervals(source.table, setting)
        shown += [
            tables.comparison_table(to_base, setting, majority_class(source.table, setting)),
            tables.sample_interval_table(intervals, setting),
            tables.difference_table(to_base, setting),
            tables.difference_table(to_random, setting),
        ]
        sampled += intervals
    shown = [table for table in shown if table.rows]
    return Exhibit(
        name="comparison",
        title="Comparison with the controls",
        arms=tuple(arm.name for arm in source.table.arms),
        tables=tuple(shown),
        rows=csv_rows.comparison_rows((to_base, to_random))
        + csv_rows.sample_interval_rows(sampled),
        notes=tuple(dict.fromkeys((*to_base.notes, *to_random.notes))),
    )


def _curves(source: Source, arm: ArmRow, dimension: str, title: str) -> Exhibit:
    curves = [over_dimension(source.table, arm.name, dimension, m) for m in CURVE_METRICS]
    return Exhibit(
        name=stem(arm.name, "over", dimension),
        title=title,
        arms=(arm.name,),
        chart=figures.dimension_curve.chart(curves),
        tables=tuple(tables.curve_table(curve) for curve in curves),
        rows=csv_rows.curve_rows(curves),
        notes=_notes(curves),
    )


def _transfer(source: Source, method: str, title: str) -> Exhibit:
    record = transfer(source.table, method)
    return Exhibit(
        name=stem(method, "transfer"),
        title=title,
        arms=tuple(target.arm for target in record.targets),
        chart=figures.transfer.chart(record),
        tables=tuple(transfer_table(record, target) for target in record.targets),
        rows=csv_rows.transfer_rows(record),
        notes=record.notes,
    )


def _occlusion(source: Source, setting: Setting, title: str) -> Exhibit:
    record = robustness(source.table, setting)
    shown = [
        show(record, order)
        for order in OCCLUSION_ORDERS
        for show in (tables.occlusion_table, tables.occlusion_difference_table)
    ]
    return Exhibit(
        name=stem("robustness", setting.dataset, setting.model),
        title=title,
        arms=tuple(arm.name for arm in setting.arms),
        chart=figures.robustness.chart(record),
        tables=tuple(table for table in shown if table.rows),
        rows=csv_rows.robustness_rows(record),
        notes=record.notes,
    )


def _filter_cosine(source: Source, setting: Setting, title: str) -> Exhibit:
    record = filter_cosine(source.table, setting)
    return Exhibit(
        name=stem("filter-cosine", setting.dataset, setting.model),
        title=title,
        arms=tuple(arm.name for arm in setting.arms),
        chart=figures.filter_cosine.chart(record),
        tables=(tables.filter_cosine_table(record),),
        rows=csv_rows.filter_cosine_rows(record),
        notes=record.notes,
    )


def _filter_cosine_curves(source: Source, arm: ArmRow, dimension: str, title: str) -> Exhibit:
    record = filter_cosine_over_dimension(source.table, arm.name, dimension)
    return Exhibit(
        name=stem(arm.name, "filter-cosine-over", dimension),
        title=title,
        arms=(arm.name,),
        chart=figures.filter_cosine_over_dimension.chart(record),
        rows=csv_rows.curve_rows(record.curves),
        notes=_notes(record.curves),
    )


def _attribution_maps(source: Source, setting: Setting, arm: ArmRow, title: str) -> Exhibit:
    names, notes = [], []
    for control in (other for other in setting.arms if other.method in CONTROLS and other != arm):
        try:
            read_attribution_maps(source.table, source.folder, [control.name])
        except ReportError as error:
            notes.append(str(error))
        else:
            names.append(control.name)
    names.append(arm.name)
    record = read_attribution_maps(source.table, source.folder, names)
    return Exhibit(
        name=stem(arm.name, "attribution-maps"),
        title=title,
        arms=tuple(names),
        caption=figures.attribution_maps.caption(record),
        image=figures.attribution_maps.draw(record),
        rows=csv_rows.attribution_rows(record),
        notes=tuple(notes),
    )


def _history(source: Source, arm: ArmRow, title: str) -> Exhibit:
    record = search_history(source.table, arm.name)
    return Exhibit(
        name=stem(arm.name, "search-history"),
        title=title,
        arms=(arm.name,),
        chart=figures.search_history.chart(record),
        tables=(tables.history_table(record),),
        rows=csv_rows.history_rows(record),
    )


def _sweeps(source: Source) -> Iterator[tuple[ArmRow, str]]:
    for arm in source.table.arms:
        for dimension in swept_dimensions(source.table, arm):
            yield arm, dimension


def _notes(curves: list[DimensionCurve] | tuple[DimensionCurve, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(f"Arm '{curve.arm}': {note}" for curve in curves for note in curve.notes)
    )


def _label(arm: ArmRow) -> str:
    return arm_label(arm.name, arm.method)
