"""What to run next where nothing was shown: the replicas that half the difference takes."""

from __future__ import annotations

from collections.abc import Iterator

from study.records.errors import ReportError
from study.records.labels import arm_label
from study.records.trial_table import TrialTable
from study.report.formatting import format_difference
from study.report.sections.result_statements import Section, main_metric
from study.sensitivity import (
    CONTROLS,
    POWER,
    ArmComparison,
    CorrectedDifference,
    compare,
    control_of,
    detectable,
    paired_spread,
    replicas_needed,
)


def next_section(table: TrialTable) -> Section:
    """State, per arm of which no difference to Base was shown, what a closer look would take."""
    return Section(
        title="What to run next", place="method", statements=tuple(_next_statements(table))
    )


def _next_statements(table: TrialTable) -> Iterator[str]:
    metric = main_metric(table)
    try:
        rows = compare(table, (metric,)).rows
    except ReportError:
        # Without results the first thing to run is the study.
        return
    for row in rows:
        found = row.get(metric)
        corrected = None if found is None else found.to_control
        if row.method in CONTROLS or corrected is None or corrected.is_significant:
            continue
        spread = paired_spread(corrected.difference)
        if spread > 0:
            yield from _statement(table, row, metric, corrected, spread)


def _statement(
    table: TrialTable,
    row: ArmComparison,
    metric: str,
    corrected: CorrectedDifference,
    spread: float,
) -> Iterator[str]:
    n, family = corrected.difference.n, corrected.family
    half = detectable(spread, n, family=family) / 2
    needed = replicas_needed(spread, half, family=family)
    if needed is None:
        return
    arm = table.arm(row.arm)
    control = control_of(table, arm, "base")
    names = {arm.name} if control is None else {arm.name, control.name}
    # The chosen points and those of the sweeps are trained again with all replicas.
    points = [r for r in table.rows if r.arm in names and r.phase == "final" and r.is_finished]
    hours = needed * sum(r.used("cpu_s") / len(r.seeds) for r in points) / 3600
    difference = format_difference(half, metric, is_signed=False)
    yield (
        f"{arm_label(row.arm, row.method)} on {row.dataset}: a difference of {difference} to "
        f"Base, half of what {n} seeds show in {POWER:.0%} of studies, takes {needed} final "
        f"replicas: with 'replicas: {{final: {needed}}}' in both arms the same command makes "
        f"{needed * len(points)} trainings of about {hours:.2g} CPU hours."
    )
