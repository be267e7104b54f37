"""Tables of text for the page, the terminal and Markdown: results of arms, sweeps and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypeVar

from study.figures.marks import DAGGER
from study.figures.sweep_curve import chance_note
from study.records.labels import arm_label, dimension_symbol, metric_label, order_label
from study.records.trial_table import TrialRow, TrialState, TrialTable
from study.report.formatting import (
    ABSENT,
    CONFIDENCE_PERCENT,
    format_corrected,
    format_difference,
    format_interval,
    format_metric,
    format_p_value,
    format_params,
    format_value,
)
from study.sensitivity import (
    POWER,
    ArmComparison,
    ArmCosine,
    ArmSampleIntervals,
    AverageRanks,
    Comparison,
    Correlation,
    CosineAndAccuracy,
    DimensionCurve,
    FilterCosineByLayer,
    LayerCosine,
    MajorityClass,
    OcclusionCurve,
    Robustness,
    SearchHistory,
    Workload,
    detectable_difference,
)

SHOWN_METRICS = (
    "test/accuracy",
    "test/auc",
    "test/nll",
    "test/brier_mean",
    "test/ece10",
    "filter_cosine/mean",
)
"""Metrics of a comparison that the page shows; its CSV has all metrics."""

_MEAN_NOTE = f"Mean over n replicas [{CONFIDENCE_PERCENT} Student's t interval of the mean]."
_T = TypeVar("_T")
_Column: TypeAlias = tuple[str, Callable[[_T], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        columns: Heads of the columns; the first column names the row.
        rows: As many cells as there are columns.
        note: Meaning of n, brackets and signs.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def tabulate(
    title: str, records: Iterable[_T], columns: Sequence[_Column[_T]], note: str = ""
) -> Table:
    """Build a table with a row per record; each column has a head and formats a record."""
    return Table(
        title=title,
        columns=tuple(head for head, _ in columns),
        rows=tuple(tuple(cell(one) for _, cell in columns) for one in records),
        note=note,
    )


def comparison_table(
    comparison: Comparison, workload: Workload, majority: MajorityClass | None = None
) -> Table:
    """Build the table of each arm's test metrics, with the majority class in the last row."""
    table = tabulate(
        f"Test metrics on {workload.dataset}, {workload.model}",
        _rows_of(comparison, workload),
        [
            ("Arm", _row_label),
            *((metric_label(m).axis, partial(_interval_cell, m)) for m in SHOWN_METRICS),
            ("n", lambda row: str(len(row.seeds)) if row.measurements else ABSENT),
            ("Parameters", lambda row: format_params(row.params)),
        ],
        f"{_MEAN_NOTE} Replicas have fresh seeds. Brier score: mean over classes, as in the "
        f"paper.{_chance_note(comparison, workload)}",
    )
    if majority is None:
        return table
    # Replicas that train on the same samples have one majority class, and no spread.
    interval, metric = majority.interval, "test/accuracy"
    accuracy = (
        format_interval(interval, metric)
        if interval.width
        else format_metric(interval.mean, metric)
    )
    row = ("Majority class", accuracy, *[ABSENT] * (len(table.columns) - 2))
    note = "Majority class: the most frequent class of the training split for every sample."
    return replace(table, rows=(*table.rows, row), note=f"{table.note} {note}")


def difference_table(comparison: Comparison, workload: Workload) -> Table:
    """Build the table of each arm's paired differences to the control."""
    control = comparison.against.capitalize()
    rows = _compared_rows(comparison, workload)
    matched = [f"{_row_label(row)} − {row.control}" for row in rows if "matched" in row.control]
    pairs = ", ".join([f"Arm − {control}", *matched])
    return tabulate(
        f"Paired difference to {control} on {workload.dataset}, {workload.model}",
        rows,
        [
            ("Arm", _row_label),
            *((difference_column(m), partial(_difference_cell, m)) for m in SHOWN_METRICS),
        ],
        f"{pairs} over replicas with the same seed [{CONFIDENCE_PERCENT} interval]; p of "
        "the paired t test, Holm-corrected over the arms for each metric. ↑ higher is better, ↓ "
        f"lower is better.{_power_note(rows)}{_chance_note(comparison, workload)}",
    )


def _power_note(rows: Sequence[ArmComparison]) -> str:
    """Return what the replicas could have shown of accuracy, where they show no difference."""
    metric, listed = SHOWN_METRICS[0], []
    for row in rows:
        found = row.get(metric)
        corrected = None if found is None else found.to_control
        if corrected is None or corrected.is_significant:
            continue
        least = detectable_difference(corrected.difference, family=corrected.family)
        if least is not None:
            listed.append(f"{_row_label(row)} {format_difference(least, metric)}")
    if not listed:
        return ""
    return (
        f" Where no difference in {metric_label(metric).name} is shown, {POWER:.0%} of studies of "
        f"this size and spread would show: {', '.join(listed)}."
    )


def sample_interval_table(arms: Sequence[ArmSampleIntervals], workload: Workload) -> Table:
    """Build the table of each arm's intervals over test samples."""
    metrics = [one.metric for one in arms[0].intervals] if arms else []
    return tabulate(
        f"Intervals over test samples on {workload.dataset}, {workload.model}",
        arms,
        [
            ("Arm", lambda arm: arm_label(arm.arm, arm.method)),
            *(
                (metric_label(metric).axis, partial(_sample_interval_cell, place))
                for place, metric in enumerate(metrics)
            ),
            ("n", lambda arm: str(arm.n)),
            ("Resamples", lambda arm: str(arm.resamples)),
            (
                "Classes left out of the AUC",
                lambda arm: f"{arm.classes_left_out} of {arm.n_classes}",
            ),
        ],
        f"Mean over n replicas [{CONFIDENCE_PERCENT} percentile bootstrap interval over the test "
        "samples, its ends averaged over the replicas]. The interval covers the choice of the "
        "test samples only, not the variation between seeds. Resamples: the fewest used for any "
        "metric and replica. A class that no test sample has, or every test sample, is left out "
        "of the AUC.",
    )


def occlusion_table(record: Robustness, order: str) -> Table:
    """Build the table of each arm's test metric over the hidden share."""
    curves, label = record.curves_for(order), metric_label(record.metric)
    return tabulate(
        f"{label.title} with positions hidden {order_label(order)}, on {record.dataset}, "
        f"{record.model}",
        curves,
        [
            (f"Arm, {label.axis}", lambda curve: arm_label(curve.arm, curve.method)),
            *(
                (f"{share * 100:.3g}%", partial(_occlusion_cell, record.metric, share))
                for share in _occluded_shares(curves)
            ),
            ("Area", lambda curve: format_interval(curve.area.interval, record.metric)),
            ("n", lambda curve: str(len(curve.seeds))),
        ],
        f"{_MEAN_NOTE} Area: area under the curve by the trapezoidal rule, divided by the arm's "
        "largest share, which is the mean over the shares.",
    )


def occlusion_difference_table(record: Robustness, order: str) -> Table:
    """Build the table of each arm's paired differences to Base over the hidden share."""
    curves, metric = record.curves_for(order), record.metric
    is_compared = any(point.to_base for curve in curves for point in curve.points)
    return tabulate(
        f"Paired difference to Base with positions hidden {order_label(order)}, on "
        f"{record.dataset}, {record.model}",
        [curve for curve in curves if is_compared and curve.method != "base"],
        [
            (
                f"Arm, {difference_column(metric)}",
                lambda curve: arm_label(curve.arm, curve.method),
            ),
            *(
                (f"{share * 100:.3g}%", partial(_occlusion_difference_cell, metric, share))
                for share in _occluded_shares(curves)
                if share > 0
            ),
            ("Area", lambda curve: format_corrected(curve.area.to_base, metric)),
        ],
        f"Arm − Base over replicas with the same seed [{CONFIDENCE_PERCENT} interval]; p of the "
        "paired t test, Holm-corrected over all arms and shares of the table, and over the arms "
        "for the area.",
    )


def curve_table(curve: DimensionCurve) -> Table:
    """Build the table of a metric over one dimension."""
    label, symbol = metric_label(curve.metric), dimension_symbol(curve.dimension)
    note = chance_note(
        (f"{symbol} = {format_value(point.value)}", point.at_chance) for point in curve.points
    )
    points = tuple(
        (
            f"{symbol} = {format_value(point.value)}"
            + (" (chosen)" if point.value == curve.chosen else "")
            + (f" {DAGGER}" if point.at_chance else ""),
            format_interval(point.interval, curve.metric),
            format_corrected(point.to_base, curve.metric),
        )
        for point in curve.points
    )
    controls = tuple(
        (arm_label(c.arm, c.method), format_interval(c.interval, curve.metric), ABSENT)
        for c in curve.controls
    )
    return Table(
        title=f"{label.title} over {symbol}",
        columns=("Value", label.axis, difference_column(curve.metric, "Minus Base")),
        rows=points + controls,
        note=f"Mean over n = {curve.n} replicas [{CONFIDENCE_PERCENT} Student's t interval]; p of "
        "the paired t test, Holm-corrected over the values." + (f" {note}" if note else ""),
    )


def filter_cosine_table(record: FilterCosineByLayer) -> Table:
    """Build the table of the filter cosine per layer and arm, as the paper's table 1."""
    layers = dict.fromkeys(layer.layer for arm in record.arms for layer in arm.layers)
    return tabulate(
        f"Filter cosine per layer on {record.dataset}, {record.model}",
        [(arm, is_initial) for arm in record.arms for is_initial in (False, True)],
        [
            ("Arm", _cosine_row_label),
            *((layer, partial(_cosine_cell, layer)) for layer in layers),
        ],
        f"Mean signed cosine over filter pairs [{CONFIDENCE_PERCENT} interval over replicas] "
        "(standard deviation over the pairs of a layer, as in the paper). Chance is "
        f"{record.chance:g}; lower means more diverse filters.",
    )


def rank_table(record: AverageRanks) -> Table:
    """Build the table of the methods' ranks, best first."""
    return tabulate(
        f"Ranks by {record.metric}",
        record.methods,
        [
            ("Method", lambda one: arm_label(one.method, one.method)),
            ("Mean rank", lambda one: f"{one.rank:.2f}"),
            *(
                (name, partial(lambda place, one: f"{one.ranks[place]:g}", place))
                for place, name in enumerate(record.workloads)
            ),
        ],
        "1 is best; each method by its mean over replicas. Mean ranks at least "
        f"{record.critical_difference:.2f} apart differ at 5% (Nemenyi).",
    )


def correlation_table(records: Sequence[CosineAndAccuracy]) -> Table:
    """Build the table of the correlations of filter cosine and accuracy."""
    return Table(
        title="Correlation of the mean filter cosine with accuracy",
        columns=("Trials", "Arm", "r", "p", "n"),
        rows=tuple(
            (f"{record.phase}, {metric_label(record.metric).name}", name, *_correlation_cells(r))
            for record in records
            for name, r in (
                ("all", record.overall),
                *((arm_label(arm.arm, arm.method), arm.correlation) for arm in record.arms),
            )
        ),
        note="Pearson's r over completed trials [95% Fisher interval, as if they were "
        "independent]. Negative: trials with more diverse filters have higher accuracy. The "
        "correlation over all arms includes the difference between the arms. A correlation "
        "proves no cause.",
    )


def history_table(record: SearchHistory) -> Table:
    """Build the table of a search's trials by state."""
    states: tuple[TrialState, ...] = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
    best = next((p.best for p in reversed(record.points) if p.best is not None), None)
    return tabulate(
        f"Trials of the search of {arm_label(record.arm, record.method)}",
        [record],
        [
            ("Trials", lambda record: str(len(record.points))),
            *(
                (state.lower(), partial(lambda state, record: str(record.count(state)), state))
                for state in states
            ),
            (
                f"best {record.objective}",
                lambda record: ABSENT if best is None else format_metric(best, record.objective),
            ),
        ],
        "The best of many trials is biased towards better values; test metrics come from fresh "
        "replicas only.",
    )


def failures_table(table: TrialTable) -> Table:
    """Build the table of the failed trials with their reasons."""
    failed: list[TrialRow] = [row for row in table.rows if row.state == "FAIL"]
    return tabulate(
        "Failed trials",
        failed,
        [
            ("Arm", lambda row: row.arm),
            ("Phase", lambda row: row.phase),
            ("Trial", lambda row: str(row.number)),
            ("Parameters", lambda row: format_params(row.params)),
            ("Reason", lambda row: row.reason or ABSENT),
        ],
        f"{len(failed)} of {len(table.rows)} trials failed.",
    )


def difference_column(metric: str, name: str | None = None) -> str:
    """Return the head of a column of differences, with direction and unit."""
    label = metric_label(metric)
    arrow = "↑" if label.direction == "maximize" else "↓"
    unit = f" [{label.difference_unit}]" if label.difference_unit else ""
    return f"{name or label.title}\N{NO-BREAK SPACE}{arrow}{unit}"


def _rows_of(comparison: Comparison, workload: Workload) -> list[ArmComparison]:
    names = {arm.name for arm in workload.arms}
    return [row for row in comparison.rows if row.arm in names]


def _compared_rows(comparison: Comparison, workload: Workload) -> list[ArmComparison]:
    """Return the arms that are compared with the control; Base is only compared as control."""
    rows = _rows_of(comparison, workload)
    against = comparison.against
    if all(row.method != against for row in rows):
        return []
    return [
        row
        for row in rows
        if any(one.to_control for one in row.measurements) or row.method not in ("base", against)
    ]


def _row_label(row: ArmComparison) -> str:
    return arm_label(row.arm, row.method) + (f" {DAGGER}" if row.at_chance else "")


def robust_table(comparison: Comparison, workload: Workload) -> Table:
    """Build the table of medians and interquartile means, which few stray replicas do not move."""
    return tabulate(
        f"Medians and interquartile means on {workload.dataset}, {workload.model}",
        [row for row in _rows_of(comparison, workload) if row.measurements],
        [
            ("Arm", _row_label),
            *((metric_label(m).axis, partial(_robust_cell, m)) for m in SHOWN_METRICS),
        ],
        f"Median, interquartile mean over the replicas.{_chance_note(comparison, workload)}",
    )


def _robust_cell(metric: str, row: ArmComparison) -> str:
    found = row.get(metric)
    if found is None:
        return ABSENT
    return ", ".join(
        format_metric(value, metric) for value in (found.median, found.interquartile_mean)
    )


def _chance_note(comparison: Comparison, workload: Workload) -> str:
    """Return what a dagger in a table of arms says, with a space before it."""
    rows = _rows_of(comparison, workload)
    note = chance_note((_row_label(row), row.at_chance) for row in rows)
    return f" {note}" if note else ""


def _interval_cell(metric: str, row: ArmComparison) -> str:
    found = row.get(metric)
    return ABSENT if found is None else format_interval(found.interval, metric)


def _difference_cell(metric: str, row: ArmComparison) -> str:
    found = row.get(metric)
    return format_corrected(None if found is None else found.to_control, metric)


def _sample_interval_cell(place: int, arm: ArmSampleIntervals) -> str:
    one = arm.intervals[place]
    mean, low, high = (format_metric(value, one.metric) for value in (one.mean, one.low, one.high))
    return f"{mean} [{low}, {high}]"


def _occluded_shares(curves: Sequence[OcclusionCurve]) -> list[float]:
    return sorted({point.share for curve in curves for point in curve.points})


def _occlusion_cell(metric: str, share: float, curve: OcclusionCurve) -> str:
    found = next((point for point in curve.points if point.share == share), None)
    return ABSENT if found is None else format_interval(found.interval, metric)


def _occlusion_difference_cell(metric: str, share: float, curve: OcclusionCurve) -> str:
    found = next((point for point in curve.points if point.share == share), None)
    return format_corrected(None if found is None else found.to_base, metric)


def _cosine_row_label(row: tuple[ArmCosine, bool]) -> str:
    arm, is_initial = row
    return arm_label(arm.arm, arm.method) + (", initially" if is_initial else "")


def _cosine_cell(name: str, row: tuple[ArmCosine, bool]) -> str:
    arm, is_initial = row
    layer: LayerCosine | None = next((one for one in arm.layers if one.layer == name), None)
    interval = None if layer is None else layer.initial if is_initial else layer.last
    if layer is None or interval is None:
        return ABSENT
    has_pairs = layer.pair_std is not None and not is_initial
    pairs = f" ({layer.pair_std:.3f})" if has_pairs else ""
    return format_interval(interval, "filter_cosine/mean") + pairs


def _correlation_cells(found: Correlation | None) -> tuple[str, ...]:
    if found is None:
        return ("too few trials or no spread", ABSENT, ABSENT)
    r = f"{found.r:.2f} [{found.low:.2f}, {found.high:.2f}]".replace("-", "−")
    return (r, format_p_value(found.p_value).removeprefix("p ").removeprefix("= "), str(found.n))
