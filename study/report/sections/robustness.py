"""Do an arm's models bear hidden inputs better than Base's?"""

from __future__ import annotations

from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.section import Section
from study.report.wording import PERCENT, amount, certainty, gap, number
from study.sensitivity import (
    OCCLUSION_ORDERS,
    OcclusionCurve,
    Robustness,
    Setting,
    arm_label,
    metric_label,
    occluded_settings,
    order_label,
    robustness,
)
from study.trial_table import TrialTable


def section(table: TrialTable) -> Section:
    """State the area under each arm's occlusion curves; nothing where no arm was occluded."""
    found = occluded_settings(table)
    statements = tuple(text for setting in found for text in _statements(table, setting))
    return Section(
        title="Robustness to hidden inputs", statements=(*statements, _CAUTION) if found else ()
    )


_CAUTION = (
    "An area holds the level of the whole samples too, so a model that is better without "
    "occlusion starts ahead. Hidden with the most relevant first, each model loses what it relies "
    "on itself: a steep fall can mean that few positions decide, or that the attribution finds "
    "them well."
)


def _statements(table: TrialTable, setting: Setting) -> Iterator[str]:
    try:
        record = robustness(table, setting)
    except ReportError as error:
        yield f"Nothing can be said on {setting.dataset} yet: {error}"
        return
    for order in OCCLUSION_ORDERS:
        for curve in record.of_order(order):
            yield _statement(record, curve)


def _statement(record: Robustness, curve: OcclusionCurve) -> str:
    metric, area, last = record.metric, curve.area, curve.points[-1]
    low, high = (number(x, metric) for x in (area.interval.low, area.interval.high))
    level = (
        f"{arm_label(curve.arm, curve.method)} on {record.dataset}, hidden "
        f"{order_label(curve.order)}: the mean {metric_label(metric).name} goes from "
        f"{amount(curve.points[0].interval.mean, metric)} to {amount(last.interval.mean, metric)} "
        f"with {last.share * 100:.3g}% hidden; over all shares it is "
        f"{amount(area.interval.mean, metric)} ({PERCENT} interval {low} to {high}, "
        f"{area.interval.n} replicas)"
    )
    corrected = area.to_base
    if corrected is None:
        return f"{level}."
    difference = corrected.difference.interval.mean
    if not corrected.is_shown:
        verdict = "no difference to Base was shown"
    elif difference > 0:
        verdict = "better than Base under occlusion"
    else:
        verdict = "worse than Base under occlusion"
    change = gap(difference, metric, is_signed=True)
    return f"{level}; {verdict}: {change} ({certainty(corrected, metric)})."
