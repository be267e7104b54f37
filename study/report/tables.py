"""Records as tables of text, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.records.trial_table import TrialTable
from study.report.formatting import (
    CONFIDENCE_PERCENT,
    format_interval,
    format_params,
    format_value,
    number,
    p_value,
)
from study.sensitivity import (
    ArmComparison,
    ArmSampleIntervals,
    Comparison,
    CorrectedDifference,
    DimensionCurve,
    FilterCosineByLayer,
    Interval,
    LayerCosine,
    MajorityClass,
    OcclusionCurve,
    Robustness,
    SampleInterval,
    SearchHistory,
    Workload,
    arm_label,
    dimension_symbol,
    metric_label,
    order_label,
)

SHOWN_METRICS = (
    "test/accuracy",
    "test/auc",
    "test/nll",
    "test/brier_mean",
    "test/ece10",
    "filter_cosine/mean",
)
"""What the page shows of a comparison; its CSV has all metrics."""

_ABSENT = "–"
_MAJORITY_NOTE = "Majority class: always answering the most frequent class of the training split."


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        title: What it shows.
        columns: Heads of the columns; the first column names the row.
        rows: As many cells as there are columns.
        note: What n, brackets and signs mean.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def comparison_table(
    comparison: Comparison, workload: Workload, majority: MajorityClass | None = None
) -> Table:
    """Show each arm's test metrics with intervals, and at last the majority class if given."""
    rows = _rows_of(comparison, workload)
    return Table(
        title=f"Test metrics on {workload.dataset}, {workload.model}",
        columns=("Arm", *(metric_label(m).axis for m in SHOWN_METRICS), "n", "Parameters"),
        rows=tuple(
            (
                arm_label(row.arm, row.method),
                *(_interval_cell(row, metric) for metric in SHOWN_METRICS),
                str(len(row.seeds)) if row.measurements else _ABSENT,
                format_params(row.params),
            )
            for row in rows
        )
        + (() if majority is None else (_majority_row(majority),)),
        note=f"Mean over n replicas on fresh seeds [{CONFIDENCE_PERCENT} Student's t interval of the mean]. "
        "Brier score: mean over classes, as in the paper."
        + ("" if majority is None else f" {_MAJORITY_NOTE}"),
    )


def difference_table(comparison: Comparison, workload: Workload) -> Table:
    """Show each arm's paired differences to the control."""
    control = comparison.against.capitalize()
    rows = _compared_rows(comparison, workload)
    return Table(
        title=f"Paired difference to {control} on {workload.dataset}, {workload.model}",
        columns=("Arm", *(_difference_column(metric) for metric in SHOWN_METRICS)),
        rows=tuple(
            (
                arm_label(row.arm, row.method),
                *(_difference_cell(row, metric) for metric in SHOWN_METRICS),
            )
            for row in rows
        ),
        note=f"Arm minus {control} over replicas with the same seed [{CONFIDENCE_PERCENT} interval]; p of "
        "the paired t test, Holm-corrected over the arms of a column. ↑ more is better, "
        "↓ less is better.",
    )


def sample_interval_table(arms: Sequence[ArmSampleIntervals], workload: Workload) -> Table:
    """Show each arm's intervals over test samples."""
    metrics = [one.metric for one in arms[0].intervals] if arms else []
    heads = tuple(metric_label(metric).axis for metric in metrics)
    return Table(
        title=f"Intervals over test samples on {workload.dataset}, {workload.model}",
        columns=("Arm", *heads, "n", "Draws", "Classes left out of the AUC"),
        rows=tuple(
            (
                arm_label(arm.arm, arm.method),
                *(_sample_interval_cell(one) for one in arm.intervals),
                str(arm.n),
                str(arm.draws),
                f"{arm.classes_left_out} of {arm.n_classes}",
            )
            for arm in arms
        ),
        note=f"Mean over n replicas [{CONFIDENCE_PERCENT} percentile bootstrap interval over the test "
        "samples: its ends in each replica, averaged over the replicas]. It covers the choice of "
        "the test samples alone, not what changes with the replica seed. Draws: the fewest that "
        "could be used for any metric and replica. A class that no test sample has, or every "
        "one, is left out of the AUC.",
    )


def occlusion_table(record: Robustness, order: str) -> Table:
    """Show each arm's test metric over the hidden share."""
    curves, label = record.curves_for(order), metric_label(record.metric)
    shares = _occluded_shares(curves)
    return Table(
        title=f"{label.title} with positions hidden {order_label(order)}, on {record.dataset}, "
        f"{record.model}",
        columns=(f"Arm, {label.axis}", *map(_share_column, shares), "Area", "n"),
        rows=tuple(
            (
                arm_label(curve.arm, curve.method),
                *(_occlusion_cell(curve, share, record.metric) for share in shares),
                format_interval(curve.area.interval, record.metric),
                str(len(curve.seeds)),
            )
            for curve in curves
        ),
        note=f"Mean over n replicas [{CONFIDENCE_PERCENT} Student's t interval of the mean]. Area: under the "
        "curve by the trapezoidal rule, divided by the arm's largest share; the mean over the "
        "shares.",
    )


def occlusion_difference_table(record: Robustness, order: str) -> Table:
    """Show each arm's paired differences to Base over the hidden share."""
    curves, metric = record.curves_for(order), record.metric
    shares = [share for share in _occluded_shares(curves) if share > 0]
    is_compared = any(point.to_base for curve in curves for point in curve.points)
    return Table(
        title=f"Paired difference to Base with positions hidden {order_label(order)}, on "
        f"{record.dataset}, {record.model}",
        columns=(f"Arm, {_difference_column(metric)}", *map(_share_column, shares), "Area"),
        rows=tuple(
            (
                arm_label(curve.arm, curve.method),
                *(_occlusion_difference_cell(curve, share, metric) for share in shares),
                _format_correction(curve.area.to_base, metric),
            )
            for curve in curves
            if is_compared and curve.method != "base"
        ),
        note=f"Arm minus Base over replicas with the same seed [{CONFIDENCE_PERCENT} interval]; p of the "
        "paired t test, Holm-corrected over all arms and shares of the table, and over the arms "
        "for the area.",
    )


def curve_table(curve: DimensionCurve) -> Table:
    """Show a metric over one dimension."""
    label = metric_label(curve.metric)
    points = tuple(
        (
            f"{dimension_symbol(curve.dimension)} = {format_value(point.value)}"
            + (" (chosen)" if point.value == curve.chosen else ""),
            format_interval(point.interval, curve.metric),
            _format_correction(point.to_base, curve.metric),
        )
        for point in curve.points
    )
    controls = tuple(
        (arm_label(c.arm, c.method), format_interval(c.interval, curve.metric), _ABSENT)
        for c in curve.controls
    )
    return Table(
        title=f"{label.title} over {dimension_symbol(curve.dimension)}",
        columns=("Value", label.axis, _difference_column(curve.metric, "Minus Base")),
        rows=points + controls,
        note=f"Mean over n = {curve.n} replicas [{CONFIDENCE_PERCENT} Student's t interval]; p of the "
        "paired t test, Holm-corrected over the values.",
    )


def filter_cosine_table(record: FilterCosineByLayer) -> Table:
    """Show the filter cosine per layer and arm, as the paper's table 1."""
    layers = tuple(dict.fromkeys(layer.layer for arm in record.arms for layer in arm.layers))
    rows = []
    for arm in record.arms:
        by_name = {layer.layer: layer for layer in arm.layers}
        name = arm_label(arm.arm, arm.method)
        rows.append((name, *(_trained_cell(by_name.get(layer)) for layer in layers)))
        rows.append(
            (f"{name}, initially", *(_initial_cell(by_name.get(layer)) for layer in layers))
        )
    return Table(
        title=f"Filter cosine per layer on {record.dataset}, {record.model}",
        columns=("Arm", *layers),
        rows=tuple(rows),
        note=f"Mean signed cosine over filter pairs [{CONFIDENCE_PERCENT} interval over replicas] (standard "
        "deviation over the pairs of a layer, as in the paper). Chance is "
        f"{record.chance:g}; lower means more diverse filters.",
    )


def history_table(record: SearchHistory) -> Table:
    """Show the trials of a search by state."""
    states = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
    best = next((p.best for p in reversed(record.points) if p.best is not None), None)
    return Table(
        title=f"Trials of the search of {arm_label(record.arm, record.method)}",
        columns=("Trials", *(state.lower() for state in states), f"best {record.objective}"),
        rows=(
            (
                str(len(record.points)),
                *(str(record.count(state)) for state in states),  # type: ignore[arg-type]
                _ABSENT if best is None else number(best, record.objective),
            ),
        ),
        note="The best of many trials is optimistic; test metrics come from fresh replicas only.",
    )


def failures_table(table: TrialTable) -> Table:
    """List every failed trial with its reason."""
    failed = [row for row in table.rows if row.state == "FAIL"]
    return Table(
        title="Failed trials",
        columns=("Arm", "Phase", "Trial", "Parameters", "Reason"),
        rows=tuple(
            (row.arm, row.phase, str(row.number), format_params(row.params), row.reason or _ABSENT)
            for row in failed
        ),
        note=f"{len(failed)} of {len(table.rows)} trials failed.",
    )


def _rows_of(comparison: Comparison, workload: Workload) -> list[ArmComparison]:
    names = {arm.name for arm in workload.arms}
    return [row for row in comparison.rows if row.arm in names]


def _compared_rows(comparison: Comparison, workload: Workload) -> list[ArmComparison]:
    """Give the arms to set against the control: none without one, and Base only as control."""
    rows = _rows_of(comparison, workload)
    control = next((row for row in rows if row.method == comparison.against), None)
    if control is None:
        return []
    return [
        row
        for row in rows
        if row != control and (comparison.against == "base" or row.method != "base")
    ]


def _majority_row(majority: MajorityClass) -> tuple[str, ...]:
    interval = majority.interval
    # Replicas that train on the same samples have one majority class, and no spread.
    write = format_interval if interval.width else _format_mean
    accuracy = write(interval, "test/accuracy")
    others = (_ABSENT for metric in SHOWN_METRICS[1:])
    return ("Majority class", accuracy, *others, _ABSENT, _ABSENT)


def _format_mean(interval: Interval, metric: str) -> str:
    return number(interval.mean, metric)


def _sample_interval_cell(one: SampleInterval) -> str:
    mean, low, high = (number(value, one.metric) for value in (one.mean, one.low, one.high))
    return f"{mean} [{low}, {high}]"


def _occluded_shares(curves: Sequence[OcclusionCurve]) -> list[float]:
    return sorted({point.share for curve in curves for point in curve.points})


def _share_column(share: float) -> str:
    return f"{share * 100:.3g}%"


def _occlusion_cell(curve: OcclusionCurve, share: float, metric: str) -> str:
    found = next((point for point in curve.points if point.share == share), None)
    return _ABSENT if found is None else format_interval(found.interval, metric)


def _occlusion_difference_cell(curve: OcclusionCurve, share: float, metric: str) -> str:
    found = next((point for point in curve.points if point.share == share), None)
    return _format_correction(None if found is None else found.to_base, metric)


def _interval_cell(row: ArmComparison, metric: str) -> str:
    found = row.get(metric)
    return _ABSENT if found is None else format_interval(found.interval, metric)


def _difference_cell(row: ArmComparison, metric: str) -> str:
    found = row.get(metric)
    return _format_correction(None if found is None else found.to_control, metric)


def _format_correction(corrected: CorrectedDifference | None, metric: str) -> str:
    if corrected is None:
        return _ABSENT
    shown = format_interval(corrected.difference.interval, metric, is_signed=True)
    return f"{shown}, {p_value(corrected.p_holm)}"


def _difference_column(metric: str, name: str | None = None) -> str:
    label = metric_label(metric)
    arrow = "↑" if label.direction == "maximize" else "↓"
    unit = f" [{label.difference_unit}]" if label.difference_unit else ""
    return f"{name or label.title}\N{NO-BREAK SPACE}{arrow}{unit}"


def _trained_cell(layer: LayerCosine | None) -> str:
    if layer is None:
        return _ABSENT
    pairs = "" if layer.pair_std is None else f" ({layer.pair_std:.3f})"
    return format_interval(layer.last, "filter_cosine/mean") + pairs


def _initial_cell(layer: LayerCosine | None) -> str:
    if layer is None or layer.initial is None:
        return _ABSENT
    return format_interval(layer.initial, "filter_cosine/mean")
