"""What each swept dimension does, against what the replicas alone would do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.outcome import main_metric
from study.report.sections.section import Section
from study.report.wording import PERCENT, amount, gap, p_value, plain
from study.sensitivity import (
    CONFIDENCE,
    DimensionCurve,
    SweepEffect,
    arm_label,
    dimension_symbol,
    holm,
    metric_label,
    over_dimension,
    sweep_effect,
    swept_dimensions,
)
from study.trial_table import ArmRow, TrialTable


def section(table: TrialTable) -> Section:
    """State for each sweep its range, and whether the dimension has an effect at all."""
    metric, swept = main_metric(table), _swept(table)
    found = [_curve(table, arm, dimension, metric) for arm, dimension in swept]
    effects = [sweep_effect(curve) for curve in found if isinstance(curve, DimensionCurve)]
    corrected = iter(zip(effects, holm([effect.p_value for effect in effects]), strict=True))
    statements = tuple(
        " ".join(_sentences(one, *next(corrected), len(effects)))
        if isinstance(one, DimensionCurve)
        else one
        for one in found
    )
    none = ("No dimension was swept: add 'sensitivity' to an arm of the study file.",)
    return Section(title="What the dimensions do", statements=statements or none)


def _swept(table: TrialTable) -> list[tuple[ArmRow, str]]:
    return [(arm, name) for arm in table.arms for name in swept_dimensions(table, arm)]


def _curve(table: TrialTable, arm: ArmRow, dimension: str, metric: str) -> DimensionCurve | str:
    """Give a curve, or say why there is none."""
    try:
        return over_dimension(table, arm.name, dimension, metric)
    except ReportError as error:
        return f"{arm_label(arm.name, arm.method)}, {dimension}: nothing can be said; {error}"


def _sentences(curve: DimensionCurve, effect: SweepEffect, p: float, family: int) -> Iterator[str]:
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
    yield _verdict(symbol, effect, p, family)
    yield from _above_base(curve)
    yield (
        f"The search chose {symbol} = {plain(curve.chosen)}; taking the best value of this "
        f"curve instead would select on the test set."
    )


def _verdict(symbol: str, effect: SweepEffect, p: float, family: int) -> str:
    verdict = (
        f"{symbol} matters here" if p < 1 - CONFIDENCE else f"No effect of {symbol} was shown"
    )
    correction = f", Holm-corrected over {family} sweeps" if family > 1 else ""
    told = (
        f"{verdict}: its value explains {effect.share:.0%} of the variance within a seed, where "
        f"chance alone gives {effect.by_chance:.0%} ({p_value(p)} by permutation within "
        f"seeds{correction})."
    )
    if effect.least_p < 1 - CONFIDENCE:
        return told
    return (
        f"{told} Of {effect.values} values and {effect.n} replicas p cannot be below "
        f"{effect.least_p:.2g}: nothing could have been shown; more replicas are needed."
    )


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
