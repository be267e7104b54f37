"""What limits the result."""

from __future__ import annotations

from collections.abc import Iterator

from study.report.sections.section import Section
from study.report.wording import PERCENT, counted
from study.sensitivity import Setting, settings
from study.trial_table import TrialTable

_ADVISED_REPLICAS = 5


def section(table: TrialTable) -> Section:
    """State scale, replicas, unequal budgets and failed trials."""
    return Section(title="What limits this result", statements=tuple(_statements(table)))


def _statements(table: TrialTable) -> Iterator[str]:
    yield (
        f"The {PERCENT} intervals cover what changes with the replica seed (initialisation, "
        f"order of samples, challenges). They do not cover another dataset or model, nor another "
        f"search."
    )
    yield from _replicas(table)
    for setting in settings(table):
        yield from _budgets(table, setting)
        epochs = sorted({arm.epochs for arm in setting.arms})
        yield (
            f"Scale: {setting.dataset}, {setting.model}, {' or '.join(map(str, epochs))} epochs, "
            f"{setting.arms[0].n_features} input features, {setting.arms[0].n_classes} classes."
        )
    failed = sum(row.state == "FAIL" for row in table.rows)
    if failed:
        yield (
            f"{failed} of {counted(len(table.rows), 'trial')} failed and are left out of every "
            f"mean; if they failed because of their parameters, the rest looks better than it is."
        )


def _replicas(table: TrialTable) -> Iterator[str]:
    counts = [len(row.seeds) for row in table.rows if row.phase == "final"]
    if counts and min(counts) < _ADVISED_REPLICAS:
        yield (
            f"Final trials have as few as {counted(min(counts), 'replica')}: intervals are wide, "
            f"and small effects cannot be shown; {_ADVISED_REPLICAS} or more are advised."
        )


def _budgets(table: TrialTable, setting: Setting) -> Iterator[str]:
    counts = {
        arm.name: len(table.select(arm.name, "search")) for arm in setting.arms if arm.dimensions
    }
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield (
            f"The arms on {setting.dataset} had unequal search budgets in trials ({shown}): the "
            f"comparison favours the larger."
        )
