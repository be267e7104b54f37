"""Panels of the whole space of a search: importances, interactions, partial dependences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from study.figures import importance as importance_figure
from study.figures import interactions as interactions_figure
from study.figures import partial_dependence as dependence_figure
from study.records.errors import ReportError
from study.records.trial_table import ArmRow, TrialTable
from study.report.panel import (
    MissingPanel,
    PanelIterator,
    ReportPanel,
    ReportSource,
    file_stem,
    try_panel,
)
from study.report.summary_tables import importance_table, interaction_table
from study.sensitivity import MEAN_LAYER, arm_label, metric_label
from study.sensitivity.importance import (
    IMPORTANCES,
    Importance,
    SearchData,
    estimators_for,
    importance,
    interactions,
    is_design,
    partial_dependence,
    search_data,
)

COSINE = f"filter_cosine/{MEAN_LAYER}"


def importances(source: ReportSource) -> PanelIterator:
    """Show the importance of each dimension for the objective and the filter cosine."""
    for arm in _claimed_arms(source):
        reason = _unmet_requirement(source, arm)
        if reason is not None:
            yield MissingPanel(title=f"{_label(arm)}: importance over its space", reason=reason)
    for arm, metric in _claimed_metrics(source):
        title = f"{_label(arm)}: importance for {metric_label(metric).name}"
        yield try_panel(title, partial(_importance_panel, source, arm, metric, title))


def pair_interactions(source: ReportSource) -> PanelIterator:
    """Show the interactions of pairs of dimensions."""
    for arm, metric in _claimed_metrics(source):
        if len(arm.dimensions) > 1:
            title = f"{_label(arm)}: interactions for {metric_label(metric).name}"
            yield try_panel(title, partial(_interaction_panel, source, arm, metric, title))


def partial_dependences(source: ReportSource) -> PanelIterator:
    """Show the objective and the filter cosine over each dimension."""
    for arm, metric in _claimed_metrics(source):
        title = f"{_label(arm)}: {metric_label(metric).name} over each dimension"
        yield try_panel(title, partial(_dependence_panel, source, arm, metric, title))


def global_metrics(table: TrialTable, arm: ArmRow) -> tuple[str, ...]:
    """Return the metrics of global claims: the objective, and the filter cosine if reported."""
    trials = table.select(arm.name, "search")
    has_cosine = any(trial.last(COSINE) is not None for trial in trials)
    return tuple(dict.fromkeys((table.objective, *((COSINE,) if has_cosine else ()))))


def _claimed_arms(source: ReportSource) -> Iterator[ArmRow]:
    """Yield the arms with claims about their whole space."""
    for arm in source.table.arms:
        if is_design(arm) or (source.allow_biased and arm.dimensions):
            yield arm


def _claimed_metrics(source: ReportSource) -> Iterator[tuple[ArmRow, str]]:
    for arm in _claimed_arms(source):
        if _unmet_requirement(source, arm) is None:
            for metric in global_metrics(source.table, arm):
                yield arm, metric


def _unmet_requirement(source: ReportSource, arm: ArmRow) -> str | None:
    """Return the reason why no claim about an arm is possible; None if one is."""
    try:
        data = _search_data(source, arm, source.table.objective)
    except ReportError as error:
        return str(error)
    needed = min(IMPORTANCES[name].min_trials(data) for name in estimators_for(data.sampler))
    if data.n >= needed:
        return None
    return (
        f"arm '{arm.name}': a claim about its whole space needs at least {needed} completed "
        f"search trials, but has {data.n}; raise 'search.trials' and resume the study."
    )


def _search_data(source: ReportSource, arm: ArmRow, metric: str) -> SearchData:
    return search_data(source.table, arm.name, metric, allow_biased=source.allow_biased)


def _importance_panel(source: ReportSource, arm: ArmRow, metric: str, title: str) -> ReportPanel:
    data = _search_data(source, arm, metric)
    records: list[Importance] = []
    refused = []
    for name in estimators_for(data.sampler):
        try:
            records.append(importance(data, name))
        except ReportError as error:
            refused.append(str(error))
    if not records:
        raise ReportError(" ".join(refused))
    return ReportPanel(
        name=file_stem(arm.name, "importance", metric),
        title=title,
        arms=(arm.name,),
        chart=importance_figure.chart(records),
        tables=(importance_table(records),),
        records=tuple(records),
        notes=(*data.notes, *refused),
    )


def _interaction_panel(source: ReportSource, arm: ArmRow, metric: str, title: str) -> ReportPanel:
    record = interactions(_search_data(source, arm, metric))
    return ReportPanel(
        name=file_stem(arm.name, "interactions", metric),
        title=title,
        arms=(arm.name,),
        chart=interactions_figure.chart(record),
        tables=(interaction_table(record),),
        records=(record,),
    )


def _dependence_panel(source: ReportSource, arm: ArmRow, metric: str, title: str) -> ReportPanel:
    record = partial_dependence(_search_data(source, arm, metric))
    return ReportPanel(
        name=file_stem(arm.name, "partial-dependence", metric),
        title=title,
        arms=(arm.name,),
        chart=dependence_figure.chart(record),
        records=(record,),
    )


def _label(arm: ArmRow) -> str:
    return arm_label(arm.name, arm.method)
