"""What each swept dimension does, against what the replicas alone would do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.outcome import main_metric
from study.report.sections.section import Section
from study.report.wording import PERCENT, amount, gap, plain
from study.sensitivity import (
    DimensionCurve,
    arm_label,
    dimension_symbol,
    metric_label,
    over_dimension,
    swept_dimensions,
)
from study.trial_table import ArmRow, TrialTable


def section(table: TrialTable) -> Section:
    """State for each sweep its range against the width of its intervals."""
    statements = tuple(
        _statement(table, arm, dimension)
        for arm in table.arms
        for dimension in swept_dimensions(table, arm)
    )
    none = ("No dimension was swept: add 'sensitivity' to an arm of the study file.",)
    return Section(title="What the dimensions do", statements=statements or none)


def _statement(table: TrialTable, arm: ArmRow, dimension: str) -> str:
    try:
        curve = over_dimension(table, arm.name, dimension, main_metric(table))
    except ReportError as error:
        return f"{arm_label(arm.name, arm.method)}, {dimension}: nothing can be said; {error}"
    return " ".join(_sentences(curve))


def _sentences(curve: DimensionCurve) -> Iterator[str]:
    symbol, metric = dimension_symbol(curve.dimension), curve.metric
    lowest = min(curve.points, key=lambda point: point.interval.mean)
    highest = max(curve.points, key=lambda point: point.interval.mean)
    span = highest.interval.mean - lowest.interval.mean
    widths = [point.interval.width for point in curve.points]
    yield (
        f"Over {len(curve.points)} values of {symbol} ({plain(curve.points[0].value)} to "
        f"{plain(curve.points[-1].value)}) the mean {metric_label(metric).name} of "
        f"{arm_label(curve.arm, curve.method)} goes from {amount(lowest.interval.mean, metric)} "
        f"({symbol} = {plain(lowest.value)}) to {amount(highest.interval.mean, metric)} "
        f"({symbol} = {plain(highest.value)}), a range of {gap(span, metric)}; the {PERCENT} "
        f"interval of a single value is {gap(statistics.fmean(widths), metric)} wide on average "
        f"and {gap(max(widths), metric)} at most (n = {curve.n})."
    )
    yield _verdict(symbol, span, widths, curve.n)
    yield from _above_base(curve)
    yield (
        f"The search chose {symbol} = {plain(curve.chosen)}; taking the best value of this "
        f"curve instead would select on the test set."
    )


def _verdict(symbol: str, span: float, widths: list[float], n: int) -> str:
    if span > max(widths):
        return f"The range exceeds every interval: {symbol} matters here."
    if span > statistics.fmean(widths):
        return f"Range and intervals are alike: whether {symbol} matters stays open at n = {n}."
    return f"The range lies within the intervals: no effect of {symbol} was shown."


def _above_base(curve: DimensionCurve) -> Iterator[str]:
    compared = [point.to_base for point in curve.points if point.to_base is not None]
    if not compared:
        return
    sign = 1 if curve.direction == "maximise" else -1
    shown = [c for c in compared if c.is_shown]
    better = sum(sign * c.difference.interval.mean > 0 for c in shown)
    worse = len(shown) - better
    yield (
        f"{better} of {len(compared)} values are better than Base, {worse} worse, and for "
        f"{len(compared) - len(shown)} no difference was shown (Holm-corrected)."
    )
