"""What a report shows of the whole space of a search: importances, interactions, dependences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from study.errors import ReportError
from study.figures import importance as importance_figure
from study.figures import interactions as interactions_figure
from study.figures import partial_dependence as dependence_figure
from study.report.exhibit import Exhibit, Made, Missing, Source, attempt, stem
from study.report.global_tables import (
    importance_rows,
    importance_table,
    interaction_rows,
    interaction_table,
    partial_dependence_rows,
)
from study.sensitivity import MEAN_LAYER, arm_label, metric_label
from study.sensitivity.importance import (
    IMPORTANCES,
    GlobalBasis,
    Importance,
    estimators_for,
    global_basis,
    importance,
    interactions,
    is_design,
    partial_dependence,
)
from study.trial_table import ArmRow, TrialTable

COSINE = f"filter_cosine/{MEAN_LAYER}"


def importances(source: Source) -> Made:
    """Show how important each dimension is, for the objective and the filter cosine."""
    for arm in _claimed(source):
        obstacle = _obstacle(source, arm)
        if obstacle is not None:
            yield Missing(title=f"{_label(arm)}: what matters over its space", reason=obstacle)
    for arm, metric in _asked(source):
        title = f"{_label(arm)}: what matters for {metric_label(metric).name}"
        yield attempt(title, partial(_importances, source, arm, metric, title))


def pair_interactions(source: Source) -> Made:
    """Show what pairs of dimensions explain beyond each alone."""
    for arm, metric in _asked(source):
        if len(arm.dimensions) > 1:
            title = f"{_label(arm)}: interactions for {metric_label(metric).name}"
            yield attempt(title, partial(_interactions, source, arm, metric, title))


def partial_dependences(source: Source) -> Made:
    """Show how the objective and the filter cosine go with each dimension."""
    for arm, metric in _asked(source):
        title = f"{_label(arm)}: {metric_label(metric).name} over each dimension"
        yield attempt(title, partial(_dependence, source, arm, metric, title))


def global_metrics(table: TrialTable, arm: ArmRow) -> tuple[str, ...]:
    """Name what global claims are made about: the objective, and the filter cosine if reported."""
    trials = table.select(arm.name, "search")
    has_cosine = any(trial.last(COSINE) is not None for trial in trials)
    return tuple(dict.fromkeys((table.objective, *((COSINE,) if has_cosine else ()))))


def _claimed(source: Source) -> Iterator[ArmRow]:
    """Give the arms of whose whole space something is claimed."""
    for arm in source.table.arms:
        if is_design(arm) or (source.insist and arm.dimensions):
            yield arm


def _asked(source: Source) -> Iterator[tuple[ArmRow, str]]:
    for arm in _claimed(source):
        if _obstacle(source, arm) is None:
            for metric in global_metrics(source.table, arm):
                yield arm, metric


def _obstacle(source: Source, arm: ArmRow) -> str | None:
    """Say once why nothing can be claimed of an arm; None if something can."""
    try:
        basis = _basis(source, arm, source.table.objective)
    except ReportError as error:
        return str(error)
    needed = min(IMPORTANCES[name].least(basis) for name in estimators_for(basis.sampler))
    if basis.n >= needed:
        return None
    return (
        f"arm '{arm.name}': a claim about its whole space needs at least {needed} completed "
        f"search trials, but has {basis.n}; raise 'search.trials' and resume the study."
    )


def _basis(source: Source, arm: ArmRow, metric: str) -> GlobalBasis:
    return global_basis(source.table, arm.name, metric, insist=source.insist)


def _importances(source: Source, arm: ArmRow, metric: str, title: str) -> Exhibit:
    basis = _basis(source, arm, metric)
    records: list[Importance] = []
    refused = []
    for name in estimators_for(basis.sampler):
        try:
            records.append(importance(basis, name))
        except ReportError as error:
            refused.append(str(error))
    if not records:
        raise ReportError(" ".join(refused))
    return Exhibit(
        name=stem(arm.name, "importance", metric),
        title=title,
        arms=(arm.name,),
        chart=importance_figure.chart(records),
        tables=(importance_table(records),),
        rows=importance_rows(records),
        notes=(*basis.notes, *refused),
    )


def _interactions(source: Source, arm: ArmRow, metric: str, title: str) -> Exhibit:
    record = interactions(_basis(source, arm, metric))
    return Exhibit(
        name=stem(arm.name, "interactions", metric),
        title=title,
        arms=(arm.name,),
        chart=interactions_figure.chart(record),
        tables=(interaction_table(record),),
        rows=interaction_rows(record),
    )


def _dependence(source: Source, arm: ArmRow, metric: str, title: str) -> Exhibit:
    record = partial_dependence(_basis(source, arm, metric))
    return Exhibit(
        name=stem(arm.name, "partial-dependence", metric),
        title=title,
        arms=(arm.name,),
        chart=dependence_figure.chart(record),
        rows=partial_dependence_rows(record),
    )


def _label(arm: ArmRow) -> str:
    return arm_label(arm.name, arm.method)
