"""The plan of a study in tables: its trainings, hours and memory, and what it can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import psutil

from study.config.study_spec import StudySpec
from study.planning.cost_estimate import (
    GPU_OPERATIONS_PER_S,
    GPU_STEP_S,
    CostEstimate,
    WorkCost,
)
from study.records.errors import SpecError
from study.records.labels import metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import format_metric
from study.report.tables import Table, tabulate
from study.sensitivity.comparison import compare
from study.sensitivity.power import (
    POWER,
    detectable,
    paired_spread,
    replicas_needed,
    spread_interval,
)

_AT_MOST = "At most, without evaluations. "
_HOW = {
    "CPU": "A step of each kind was timed here on random samples, one trial at a time.",
    "GPU": f"Assumed are {GPU_OPERATIONS_PER_S / 1e12:g}·10¹² operations per second and "
    f"{1000 * GPU_STEP_S:g} ms per step at least, one training at a time.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The standard deviation of an arm's paired differences to a control over seeds.

    Attributes:
        value: In the unit in which the metric is stored.
        n: Pairs that it was estimated from; None for a stated one.
        source: Where it is from, in words.
    """

    value: float
    n: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPower:
    """What an arm's comparison with Base can show.

    Attributes:
        arm: The arm.
        n: Its final replicas, as many as Base has too.
        family: Comparisons in the family: the other arms on that dataset and model.
        spread: Of its differences.
    """

    arm: str
    n: int
    family: int
    spread: Spread

    @property
    def detectable(self) -> float:
        """Smallest true difference that is shown in 80 % of studies."""
        return detectable(self.spread.value, self.n, family=self.family)

    def needed(self, difference: float) -> int | None:
        """Return the replicas that show a difference, or None for more than a study may have."""
        return replicas_needed(self.spread.value, difference, family=self.family)


def plan_table(spec: StudySpec, cost: CostEstimate) -> Table:
    """Build the table of what each arm of a study trains, with the sum in the last row."""
    own = psutil.Process().memory_info().rss
    table = tabulate(
        f"What study {spec.name!r} trains",
        cost.parts,
        [
            ("Arm", lambda part: part.work.arm),
            ("Search trials", lambda part: str(part.work.trials[0])),
            ("Final trials", lambda part: str(part.work.trials[1])),
            ("Trainings", lambda part: f"{part.work.trainings:,}"),
            ("Steps", lambda part: f"{part.work.steps:,}"),
            (f"{cost.device} hours", lambda part: _hours(part.hours)),
            ("Memory [MiB]", _memory),
        ],
        f"{_AT_MOST}{_HOW[cost.device]} Memory: tensors of one replica's step; a process takes "
        f"about {own / 2**20:.0f} MiB for its libraries beside them, as this one does, and its "
        "data.",
    )
    search, final = (sum(part.work.trials[i] for part in cost.parts) for i in (0, 1))
    steps = sum(part.work.steps for part in cost.parts)
    total = ("All", str(search), str(final), f"{cost.trainings:,}", f"{steps:,}")
    rows = (*table.rows, (*total, _hours(cost.hours), ""))
    return Table(title=table.title, columns=table.columns, rows=rows, note=table.note)


def presets_table(costs: Mapping[str, CostEstimate]) -> Table:
    """Build the table of studies by name with what each trains and its hours."""
    return tabulate(
        "What the papers' studies take",
        costs.items(),
        [
            ("Study", lambda item: item[0]),
            ("Trials", lambda item: str(item[1].trials)),
            ("Trainings", lambda item: str(item[1].trainings)),
            ("Steps", lambda item: f"{item[1].steps:,.0f}"),
            ("10¹⁵ operations", lambda item: f"{item[1].operations / 1e15:.3g}"),
            ("Hours", lambda item: f"{item[1].hours:.2g}"),
            ("of", lambda item: item[1].device),
        ],
        f"{_AT_MOST}CPU: {_HOW['CPU']} GPU: {_HOW['GPU']}",
    )


def power_table(metric: str, powers: Sequence[ArmPower], difference: float | None) -> Table:
    """Build the table of what each arm's comparison with Base can show.

    Args:
        metric: The compared metric.
        powers: By arm.
        difference: A difference in the unit of the metric, for which replicas are counted; None
            for the table without them.
    """
    label = metric_label(metric)
    unit = f", in {label.difference_unit}" if label.difference_unit else ""
    columns: list[tuple[str, Callable[[ArmPower], str]]] = [
        ("Arm − Base", lambda one: one.arm),
        ("SD over seeds", partial(_spread_cell, metric)),
        ("n", lambda one: str(one.n)),
        ("shown from", lambda one: format_metric(one.detectable, metric)),
    ]
    if difference is not None:
        head = f"n for {format_metric(difference, metric)}"
        columns.append((head, partial(_needed_cell, difference)))
    sources = ", ".join(dict.fromkeys(one.spread.source for one in powers))
    return tabulate(
        f"What it can show in {label.name}{unit}",
        powers,
        columns,
        f"Shown from: the smallest true difference that {POWER:.0%} of such studies show, by the "
        f"paired t test, Holm-corrected over the arms. SD: of the differences over seeds, "
        f"{sources}.",
    )


def arm_powers(spec: StudySpec, spreads: Mapping[str, Spread], fallback: Spread) -> list[ArmPower]:
    """Return what each arm's comparison with the Base arm of its dataset and model can show.

    Args:
        spec: The study.
        spreads: By arm or method.
        fallback: For arms that have none of them.
    """
    found = []
    for arm in spec.arms:
        others = [one for one in spec.arms if (one.dataset, one.model) == (arm.dataset, arm.model)]
        control = next((one for one in others if one.method.name == "base"), None)
        if control is None or arm is control:
            continue
        spread = spreads.get(arm.name) or spreads.get(arm.method.name) or fallback
        n = min(arm.replicas.final, control.replicas.final)
        family = sum(one is not control for one in others)
        found.append(ArmPower(arm=arm.name, n=n, family=family, spread=spread))
    return found


def measured_spreads(table: TrialTable, metric: str) -> tuple[dict[str, Spread], Spread]:
    """Return the spreads of a finished study or pilot by arm and method, and the largest.

    Raises:
        SpecError: If it has no paired differences with a spread.
        ReportError: If it has no results.
    """
    found: dict[str, Spread] = {}
    for row in compare(table, (metric,)).rows:
        measured = row.get(metric)
        if measured is None or measured.to_control is None:
            continue
        difference = measured.to_control.difference
        spread = paired_spread(difference)
        if spread > 0:
            source = f"from study {table.study!r}"
            found[row.arm] = Spread(value=spread, n=difference.n, source=source)
            found.setdefault(row.method, found[row.arm])
    if not found:
        raise SpecError(
            f"study {table.study!r} must have final trials of Base and another arm on the same "
            f"seeds for a spread of {metric}, but has none; name another study, or give --sd."
        )
    return found, max(found.values(), key=lambda one: one.value)


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours >= 0.01 else "< 0.01"


def _memory(part: WorkCost) -> str:
    return f"{part.memory_bytes / 2**20:.0f}"


def _spread_cell(metric: str, one: ArmPower) -> str:
    value = format_metric(one.spread.value, metric)
    if one.spread.n is None:
        return value
    low, high = spread_interval(one.spread.value, one.spread.n)
    return f"{value} [{format_metric(low, metric)}, {format_metric(high, metric)}]"


def _needed_cell(difference: float, one: ArmPower) -> str:
    needed = one.needed(difference)
    return "over 1,000" if needed is None else str(needed)
