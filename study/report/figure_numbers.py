"""The tables and the CSV rows behind each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from study.figures.cosine_scatter import correlation
from study.figures.importance_bars import Importances
from study.report import csv_rows, importance_panels, tables
from study.report.csv_rows import CsvRows, difference_cells, interval_cells, optional_cells
from study.report.formatting import p_value
from study.report.summary_tables import transfer_table
from study.report.tables import Table
from study.sensitivity import (
    OCCLUSION_ORDERS,
    ArmCurves,
    AverageRanks,
    Correlation,
    CosineAndAccuracy,
    CosineOverEpochs,
    Robustness,
    SearchPoints,
    Transfer,
    arm_label,
    metric_label,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Behind:
    rows: Callable[[Any], CsvRows]
    tables: Callable[[Any], tuple[Table, ...]] = lambda _: ()


def numbers_behind(figure: str, record: Any) -> tuple[tuple[Table, ...], CsvRows]:  # noqa: ANN401
    """Return the tables and the CSV rows of a figure's record.

    A figure without an entry here has no tables, and its rows are those of the record's
    ``to_frame()``.
    """
    behind = _BEHIND.get(figure)
    if behind is None:
        return (), tuple(record.to_frame().to_dict("records"))
    return behind.tables(record), behind.rows(record)


def _occlusion_tables(record: Robustness) -> tuple[Table, ...]:
    shown = [
        show(record, order)
        for order in OCCLUSION_ORDERS
        for show in (tables.occlusion_table, tables.occlusion_difference_table)
    ]
    return tuple(table for table in shown if table.rows)


def _transfer_tables(record: Transfer) -> tuple[Table, ...]:
    return tuple(transfer_table(record, target) for target in record.targets)


def _arm_curve_rows(record: ArmCurves) -> CsvRows:
    return csv_rows.curve_rows([curve for group in record.curves for curve in group])


def _rank_table(record: AverageRanks) -> Table:
    return Table(
        title=f"Ranks by {record.metric}",
        columns=("Method", "Mean rank", *record.settings),
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
                f"rank/{name}": rank for name, rank in zip(record.settings, one.ranks, strict=True)
            },
        }
        for one in record.methods
    )


def _epoch_rows(record: CosineOverEpochs) -> CsvRows:
    return tuple(
        {
            "arm": curve.arm,
            "method": curve.method,
            "layer": layer.layer,
            "kind": layer.kind,
            "chance": layer.chance,
            "epoch": point.epoch,
            **interval_cells(point.level),
            **optional_cells("since_initialization", point.change),
            **difference_cells(point.to_base, "base"),
        }
        for layer in record.layers
        for curve in layer.curves
        for point in curve.points
    )


def _correlation_table(records: Sequence[CosineAndAccuracy]) -> Table:
    return Table(
        title="Correlation of the mean filter cosine with accuracy",
        columns=("Trials", "Arm", "r", "p", "n"),
        rows=tuple(
            (f"{record.phase}, {metric_label(record.metric).name}", name, *_cells(found))
            for record in records
            for name, found in (
                ("all", record.together),
                *((arm_label(arm.arm, arm.method), arm.correlation) for arm in record.arms),
            )
        ),
        note="Pearson's r over completed trials [95% Fisher interval, as if they were "
        "independent]. Negative: the trials with more diverse filters reach more. Over all arms "
        "it also holds what the arms differ in. A correlation proves no cause.",
    )


def _cells(found: Correlation | None) -> tuple[str, ...]:
    if found is None:
        return ("too few trials or no spread", "–", "–")
    shown = correlation(found).removeprefix("r = ").partition(", n")[0]
    return (shown, p_value(found.p_value).removeprefix("p = ").removeprefix("p "), str(found.n))


def _correlation_rows(records: Sequence[CosineAndAccuracy]) -> CsvRows:
    return tuple(
        {
            "phase": record.phase,
            "arm": arm.arm,
            "trial_number": point.number,
            "filter_cosine/mean": point.cosine,
            record.metric: point.accuracy,
        }
        for record in records
        for arm in record.arms
        for point in arm.points
    )


def _search_rows(record: SearchPoints) -> CsvRows:
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


def _importance_tables(record: Importances) -> tuple[Table, ...]:
    return (importance_panels.importance_table(record.records),)


_BEHIND: Mapping[str, _Behind] = MappingProxyType(
    {
        "forest_plot": _Behind(rows=lambda record: csv_rows.comparison_rows((record,))),
        "rank_diagram": _Behind(rows=_rank_rows, tables=lambda record: (_rank_table(record),)),
        "sweep_curve": _Behind(
            rows=csv_rows.curve_rows, tables=lambda curves: tuple(map(tables.curve_table, curves))
        ),
        "sweep_of_arms": _Behind(rows=_arm_curve_rows),
        "importance_bars": _Behind(
            rows=lambda record: importance_panels.importance_rows(record.records),
            tables=_importance_tables,
        ),
        "interaction_bars": _Behind(
            rows=importance_panels.interaction_rows,
            tables=lambda record: (importance_panels.interaction_table(record),),
        ),
        "dependence_curves": _Behind(rows=importance_panels.partial_dependence_rows),
        "transfer_dots": _Behind(rows=csv_rows.transfer_rows, tables=_transfer_tables),
        "occlusion_lines": _Behind(rows=csv_rows.robustness_rows, tables=_occlusion_tables),
        "layer_differences": _Behind(
            rows=csv_rows.filter_cosine_rows,
            tables=lambda record: (tables.filter_cosine_table(record),),
        ),
        "layers_over_dimension": _Behind(
            rows=lambda record: csv_rows.curve_rows(record.curves),
            tables=lambda record: tuple(map(tables.curve_table, record.curves)),
        ),
        "layers_over_epochs": _Behind(rows=_epoch_rows),
        "cosine_scatter": _Behind(
            rows=_correlation_rows, tables=lambda records: (_correlation_table(records),)
        ),
        "relevance_maps": _Behind(rows=csv_rows.attribution_rows),
        "trial_history": _Behind(
            rows=csv_rows.history_rows, tables=lambda record: (tables.history_table(record),)
        ),
        "trial_slices": _Behind(rows=_search_rows),
        "parallel_coordinates": _Behind(rows=_search_rows),
    }
)
