"""Does an arm learn more diverse filters than Base?"""

from __future__ import annotations

from collections.abc import Iterator

from study.errors import ReportError
from study.report.sections.outcome import main_metric
from study.report.sections.section import Section
from study.report.wording import PERCENT, certainty, number
from study.sensitivity import (
    MEAN_LAYER,
    ArmComparison,
    Setting,
    arm_label,
    compare,
    cosine_and_accuracy,
    metric_label,
    settings,
)
from study.trial_table import TrialTable

_METRIC = f"filter_cosine/{MEAN_LAYER}"


def section(table: TrialTable) -> Section:
    """State each arm's mean filter cosine and its difference to Base."""
    return Section(title="Diversity of filters", statements=tuple(_statements(table)))


def _statements(table: TrialTable) -> Iterator[str]:
    try:
        comparison = compare(table, (_METRIC,))
    except ReportError as error:
        yield f"Nothing can be said yet: {error}"
        return
    for row in comparison.rows:
        yield _statement(row)
    for setting in settings(table):
        yield from _correlation(table, setting)
    yield (
        "The signed cosine between random filters is 0 on average; lower means more diverse "
        "filters. A difference here goes along with a difference in accuracy, or not; neither "
        "explains the other by itself."
    )


def _statement(row: ArmComparison) -> str:
    name, found = arm_label(row.arm, row.method), row.get(_METRIC)
    if found is None:
        return f"{name} on {row.dataset}: no filter cosine."
    mean, low, high = (
        number(x, _METRIC) for x in (found.interval.mean, found.interval.low, found.interval.high)
    )
    level = (
        f"{name} on {row.dataset}: mean filter cosine {mean} "
        f"({PERCENT} interval {low} to {high}, {found.interval.n} replicas)"
    )
    corrected = found.to_control
    if corrected is None:
        return f"{level}."
    change = number(corrected.difference.interval.mean, _METRIC, is_signed=True)
    if not corrected.is_shown:
        verdict = "no difference to Base was shown"
    elif corrected.difference.interval.mean < 0:
        verdict = "more diverse filters than Base"
    else:
        verdict = "less diverse filters than Base"
    return f"{level}; {verdict}: {change} ({certainty(corrected, _METRIC)})."


def _correlation(table: TrialTable, setting: Setting) -> Iterator[str]:
    """Say whether final trials with more diverse filters reach more; nothing of too few."""
    metric = main_metric(table)
    try:
        found = cosine_and_accuracy(table, setting, "final", metric).together
    except ReportError:
        # A report without sweeps has too few final trials, which is nothing that is missing.
        return
    if found is None:
        return
    is_shown = found.low > 0 or found.high < 0
    is_better = (found.r < 0) == (metric_label(metric).direction == "maximise")
    verdict = (
        f"trials with more diverse filters did {'better' if is_better else 'worse'}"
        if is_shown
        else "no relation was shown"
    )
    interval = f"{found.low:.2f} to {found.high:.2f}".replace("-", "−")
    r = f"{found.r:.2f}".replace("-", "−")
    yield (
        f"Over {found.n} final trials on {setting.dataset}, mean filter cosine and "
        f"{metric_label(metric).name} are correlated with r = {r} ({PERCENT} interval "
        f"{interval}): {verdict}."
    )
