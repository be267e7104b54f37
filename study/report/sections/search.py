"""What was searched, and what it chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from study.errors import ReportError
from study.report.cost_table import hours
from study.report.sections.section import Section
from study.report.wording import STATES, counted, listed, parameters
from study.sensitivity import arm_label, cost, dimension_symbol
from study.trial_table import ArmRow, TrialTable


def section(table: TrialTable) -> Section:
    """State per arm its trials by state, its replicas and its chosen configuration."""
    aim = (
        f"Trials were proposed by {_proposers(table)} and compared by {table.objective} "
        f"({table.direction}) on validation data; test metrics come only from trials of the "
        f"chosen configurations with fresh replica seeds."
    )
    return Section(
        title="What was searched",
        statements=(
            aim,
            *(" ".join(_sentences(table, arm)) for arm in table.arms),
            *_costs(table),
        ),
    )


def _proposers(table: TrialTable) -> str:
    names = dict.fromkeys(arm.sampler for arm in table.arms if arm.dimensions)
    return listed([name.upper() if name == "tpe" else name for name in names] or ["nobody"])


def _sentences(table: TrialTable, arm: ArmRow) -> Iterator[str]:
    name = f"{arm_label(arm.name, arm.method)} ({arm.dataset}; {arm.model}; {arm.epochs} epochs)"
    if not arm.dimensions:
        yield f"{name} has nothing to search."
    else:
        yield f"{name} searched {listed([dimension_symbol(d) for d in arm.dimensions])}."
        yield _trials(table, arm)
        if arm.group is not None:
            count = sum(other.group == arm.group for other in table.arms)
            yield (
                f"Its trials are compared by the mean gain over Base in {table.objective} on "
                f"{count} datasets, on each of which every point is tried: the search of "
                f"{arm_label(arm.group, arm.method)}."
            )
        chosen = "nothing yet" if arm.best_params is None else parameters(arm.best_params)
        yield f"Chosen: {chosen}."
    finals = table.select(arm.name, "final")
    replicas = sorted({len(row.seeds) for row in finals})
    if finals:
        yield (
            f"{counted(len(finals), 'final trial')} of {' or '.join(map(str, replicas))} replicas."
        )
    else:
        yield "No final trial yet."


def _costs(table: TrialTable) -> Iterator[str]:
    try:
        record = cost(table)
    except ReportError:
        # The exhibit of the cost says why it is missing.
        return
    lost = sum(row.cpu_hours for row in record.rows if row.state in {"PRUNED", "FAIL"})
    gpu = f" and {hours(record.gpu_hours)} GPU hours" if record.gpu_hours else ""
    yield (
        f"Training took {hours(record.cpu_hours)} CPU hours{gpu}; {hours(lost)} of the CPU hours "
        f"went into trials that were stopped early or failed."
    )


def _trials(table: TrialTable, arm: ArmRow) -> str:
    trials = table.select(arm.name, "search")
    if not trials:
        return "No search trial yet."
    states = Counter(row.state for row in trials)
    parts = [f"{states[state]} {word}" for state, word in STATES.items() if states[state]]
    replicas = max(len(row.seeds) for row in trials)
    return (
        f"{counted(len(trials), 'trial')} of {counted(replicas, 'replica')} each: {listed(parts)}."
    )
