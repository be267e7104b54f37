"""Records as long-form rows with every digit, saved as CSV beside each figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from study.sensitivity import (
    ArmSampleIntervals,
    AttributionMaps,
    Comparison,
    CorrectedDifference,
    DimensionCurve,
    FilterCosineByLayer,
    Interval,
    OcclusionArea,
    OcclusionCurve,
    OcclusionPoint,
    Robustness,
    SearchHistory,
    Transfer,
    TransferRow,
    TransferTarget,
    TransferValue,
)

Cell: TypeAlias = str | int | float | bool | None
CsvRows: TypeAlias = tuple[dict[str, Cell], ...]


def rows_to_csv(rows: Sequence[dict[str, Cell]]) -> str:
    """Write rows as CSV; the columns are those of all rows in order of first appearance."""
    stream = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(stream, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def curve_rows(curves: Sequence[DimensionCurve]) -> CsvRows:
    """One row per metric and value of the dimension, and one per control."""
    rows: list[dict[str, Cell]] = []
    for curve in curves:
        rows += [
            {
                "arm": curve.arm,
                "metric": curve.metric,
                "dimension": curve.dimension,
                "value": point.value,
                "is_chosen": point.value == curve.chosen,
                **interval_cells(point.interval),
                **difference_cells(point.to_base, "base"),
                **replica_cells(curve.seeds, point.replicas),
            }
            for point in curve.points
        ]
        rows += [
            {"arm": control.arm, "metric": curve.metric, **interval_cells(control.interval)}
            for control in curve.controls
        ]
    return tuple(rows)


def comparison_rows(comparisons: Sequence[Comparison]) -> CsvRows:
    """One row per control, arm and metric."""
    return tuple(
        {
            "arm": row.arm,
            "method": row.method,
            "dataset": row.dataset,
            "model": row.model,
            "metric": measurement.metric,
            "against": comparison.against,
            **interval_cells(measurement.interval),
            **difference_cells(measurement.to_control, "control"),
            **replica_cells(row.seeds, measurement.replicas),
            **{f"params/{name}": value for name, value in row.params.items()},
        }
        for comparison in comparisons
        for row in comparison.rows
        for measurement in row.measurements
    )


def sample_interval_rows(arms: Sequence[ArmSampleIntervals]) -> CsvRows:
    """One row per arm and metric: its interval over the test samples."""
    return tuple(
        {
            "arm": arm.arm,
            "method": arm.method,
            "metric": one.metric,
            "interval_over": "test samples",
            "mean": one.mean,
            "low": one.low,
            "high": one.high,
            "n": arm.n,
            "draws": arm.draws,
            "classes_left_out": arm.classes_left_out,
        }
        for arm in arms
        for one in arm.intervals
    )


def robustness_rows(record: Robustness) -> CsvRows:
    """One row per order, arm and hidden share, and one for the area under each curve."""
    return tuple(row for curve in record.curves for row in _occlusion_rows(record, curve))


def _occlusion_rows(record: Robustness, curve: OcclusionCurve) -> CsvRows:
    facts: dict[str, Cell] = {
        "arm": curve.arm,
        "method": curve.method,
        "dataset": record.dataset,
        "model": record.model,
        "metric": record.metric,
        "order": curve.order,
    }
    found: tuple[OcclusionPoint | OcclusionArea, ...] = (*curve.points, curve.area)
    shares = (*(point.share for point in curve.points), curve.points[-1].share)
    return tuple(
        {
            **facts,
            "share": share,
            "is_area": one is curve.area,
            **interval_cells(one.interval),
            **difference_cells(one.to_base, "base"),
            **replica_cells(curve.seeds, one.replicas),
        }
        for share, one in zip(shares, found, strict=True)
    )


def transfer_rows(record: Transfer) -> CsvRows:
    """One row per target, setting and metric, and one per setting without a result."""
    return tuple(
        {**facts, **row}
        for target in record.targets
        for one in target.rows
        for facts in [_transfer_cells(target, one)]
        for row in [_transfer_row(one, value) for value in one.values] or [{}]
    )


def _transfer_cells(target: TransferTarget, row: TransferRow) -> dict[str, Cell]:
    return {
        "arm": target.arm,
        "dataset": target.dataset,
        "model": target.model,
        "source": row.source,
        "source_kind": row.kind,
        "found_on": "; ".join(row.source_datasets),
        "note": row.note,
        **{f"params/{name}": value for name, value in (row.params or {}).items()},
    }


def _transfer_row(row: TransferRow, value: TransferValue) -> dict[str, Cell]:
    to_own = difference_cells(value.to_own, "own")
    return {
        "metric": value.metric,
        **interval_cells(value.interval),
        **difference_cells(value.to_base, "base"),
        **{name if "own" in name else f"{name}_to_own": cell for name, cell in to_own.items()},
        **replica_cells(row.seeds, value.replicas),
    }


def filter_cosine_rows(record: FilterCosineByLayer) -> CsvRows:
    """One row per arm and layer."""
    return tuple(
        {
            "arm": arm.arm,
            "method": arm.method,
            "layer": layer.layer,
            "epoch": arm.epoch,
            **interval_cells(layer.last),
            "pair_std": layer.pair_std,
            **optional_cells("initial", layer.initial),
            **optional_cells("relative", layer.relative),
            **difference_cells(layer.to_base, "base"),
            "chance": record.chance,
        }
        for arm in record.arms
        for layer in arm.layers
    )


def history_rows(record: SearchHistory) -> CsvRows:
    """One row per trial of the search."""
    return tuple(
        {
            "arm": record.arm,
            "trial_number": point.number,
            "state": point.state,
            record.objective: point.value,
            f"{record.objective}_std": point.deviation,
            "best_so_far": point.best,
            "reason": record.reasons.get(point.number),
        }
        for point in record.points
    )


def attribution_rows(record: AttributionMaps) -> CsvRows:
    """One row per image and pixel: its value and each arm's relevance, summed over channels."""
    inputs = record.inputs.mean(axis=1)
    maps = {arm.arm: arm.relevance.sum(axis=1) for arm in record.arms}
    return tuple(
        {
            "sample": sample,
            "target": int(record.target[sample]),
            "row": row,
            "column": column,
            "input": float(inputs[sample, row, column]),
            **{
                f"relevance/{arm}": float(values[sample, row, column])
                for arm, values in maps.items()
            },
            **{f"predicted/{arm.arm}": int(arm.predicted[sample]) for arm in record.arms},
        }
        for sample, row, column in np.ndindex(*inputs.shape)
    )


def interval_cells(interval: Interval) -> dict[str, Cell]:
    """Give a mean with its ends and n."""
    return {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
    }


def optional_cells(prefix: str, interval: Interval | None) -> dict[str, Cell]:
    """Give an interval that may be missing under names with a prefix."""
    names = ("mean", "low", "high")
    return {
        f"{prefix}_{name}": None if interval is None else getattr(interval, name) for name in names
    }


def difference_cells(corrected: CorrectedDifference | None, name: str) -> dict[str, Cell]:
    """Give a paired difference to what is named; nothing without one."""
    if corrected is None:
        return {}
    difference = corrected.difference
    return {
        f"minus_{name}": difference.interval.mean,
        f"minus_{name}_low": difference.interval.low,
        f"minus_{name}_high": difference.interval.high,
        "p_value": difference.p_value,
        "p_holm": corrected.p_holm,
        "family": corrected.family,
        "effect_size": difference.effect_size,
    }


def replica_cells(seeds: Sequence[int], values: Sequence[float]) -> dict[str, Cell]:
    """Give every replica's value under its seed."""
    return {f"seed_{seed}": value for seed, value in zip(seeds, values, strict=True)}
