"""Importance of each dimension: a panel per estimator, a row per dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Axis, Panel, Plane, bars, grid, panel, points, rule_at
from study.figures.rendering import Chart
from study.figures.theme import look_of
from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.labels import arm_label, dimension_symbol, metric_label
from study.records.trial_table import ArmRow, TrialTable
from study.sensitivity import MEAN_LAYER
from study.sensitivity.importance import (
    IMPORTANCES,
    DimensionShare,
    Importance,
    PairShare,
    SearchData,
    estimators_for,
    importance,
    is_design,
    search_data,
)
from study.sensitivity.intervals import CONFIDENCE

COSINE = f"filter_cosine/{MEAN_LAYER}"
_ROW, _FRAME = 24, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances(Tabular):
    """The importances of an arm's dimensions by every estimator that takes its trials.

    Attributes:
        records: One per estimator, from the same trials.
        notes: Refused estimators and reservations of the trials, in sentences.
    """

    records: tuple[Importance, ...]
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield the rows of the importances."""
        for record in self.records:
            yield from record.frame_rows()


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every arm with claims about its whole space, with each metric."""
    for arm in claimed_arms(source):
        reason = _unmet_requirement(source, arm)
        if reason is not None:
            label = arm_label(arm.name, arm.method)
            title = f"{label}: importance over its space"
            yield Subject(
                title=title, name=(arm.name,), arms=(arm.name,), read=partial(_refuse, reason)
            )
    yield from metric_subjects(source, "importance for {metric}", "importance", _read)


def metric_subjects(
    source: ReportSource,
    title: str,
    name: str,
    read: Callable[[ReportSource, ArmRow, str], object],
) -> Iterator[Subject]:
    """Return a subject per arm with claims and metric; ``read`` takes source, arm, metric.

    Args:
        source: The study.
        title: Title with ``{metric}`` for its name.
        name: Part of the stem of the figure's files.
        read: Returns the record.
    """
    for arm in claimed_arms(source):
        if _unmet_requirement(source, arm) is None:
            for metric in global_metrics(source.table, arm):
                label = arm_label(arm.name, arm.method)
                yield Subject(
                    title=f"{label}: {title.format(metric=metric_label(metric).name)}",
                    name=(arm.name, name, metric),
                    arms=(arm.name,),
                    read=partial(read, source, arm, metric),
                )


def chart(record: Importances) -> Chart:
    """Draw each estimator's shares with intervals, the largest on top, and the level of chance."""
    panels = [_panel(one) for one in record.records]
    return grid(panels, columns=min(2, len(panels)), least=240)


def caption(record: Importances) -> str:
    """Write trials, replicas, metric, design, questions, intervals and levels."""
    records = record.records
    parts = [f"Importance of each dimension for {describe_trials(records[0].data)}"]
    parts += [_method(one) for one in records]
    parts.append(
        f"Bars: {CONFIDENCE:.0%} intervals. Filled: more than chance (dotted line), all "
        f"dimensions of a panel corrected together."
    )
    return " ".join((*parts, *dict.fromkeys(note for r in records for note in r.notes)))


def describe_trials(data: SearchData) -> str:
    """Return the trials behind a global claim, as the end of a sentence."""
    replicas = " or ".join(map(str, data.replicas))
    noun = "replica" if data.replicas == (1,) else "replicas"
    return (
        f"{metric_label(data.metric).name} of {arm_label(data.arm, data.method)}: "
        f"n = {data.n} search trials ({data.sampler}), each the mean of {replicas} {noun} at "
        f"its last evaluation."
    )


def share_panel(
    frame: pd.DataFrame, method: str, *, title: str, axis: str, level: float | None
) -> Panel:
    """Draw a row per share with its interval, and the level of chance across them."""
    frame = frame.assign(arm=method)
    plane = Plane(
        x=Axis(title=axis), y=Axis(names=tuple(frame["y"])), looks={method: look_of(method)}
    )
    return panel(
        rule_at(0.0, plane, axis="x"),
        [] if level is None else rule_at(level, plane, axis="x", style="chance"),
        bars(frame, plane, along="x"),
        points(frame, plane),
        title=title,
        height=_FRAME + _ROW * len(frame),
    )


def p_of(value: float | None) -> str:
    """Return a p value for a tooltip; without a level there is none."""
    return "" if value is None else f"\np = {value:.3g}, over all together"


def claimed_arms(source: ReportSource) -> Iterator[ArmRow]:
    """Return the arms with claims about their whole space."""
    for arm in source.table.arms:
        if is_design(arm) or (source.allow_biased and arm.dimensions):
            yield arm


def global_metrics(table: TrialTable, arm: ArmRow) -> tuple[str, ...]:
    """Return the metrics of global claims: the objective, and the filter cosine if reported."""
    trials = table.select(arm.name, "search")
    has_cosine = any(trial.last(COSINE) is not None for trial in trials)
    return tuple(dict.fromkeys((table.objective, *((COSINE,) if has_cosine else ()))))


def trials_for(source: ReportSource, arm: ArmRow, metric: str) -> SearchData:
    """Return the trials behind claims about an arm and metric."""
    return search_data(source.table, arm.name, metric, allow_biased=source.allow_biased)


def _refuse(reason: str) -> None:
    raise ReportError(reason)


def _unmet_requirement(source: ReportSource, arm: ArmRow) -> str | None:
    """Return the reason why no claim about an arm is possible; None if one is."""
    try:
        data = trials_for(source, arm, source.table.objective)
    except ReportError as error:
        return str(error)
    needed = min(IMPORTANCES[name].min_trials(data) for name in estimators_for(data.sampler))
    if data.n >= needed:
        return None
    return (
        f"arm '{arm.name}': a claim about its whole space needs at least {needed} completed "
        f"search trials, but has {data.n}; raise 'search.trials' and resume the study."
    )


def _read(source: ReportSource, arm: ArmRow, metric: str) -> Importances:
    data = trials_for(source, arm, metric)
    records, refused = [], []
    for name in estimators_for(data.sampler):
        try:
            records.append(importance(data, name))
        except ReportError as error:
            refused.append(str(error))
    if not records:
        raise ReportError(" ".join(refused))
    return Importances(records=tuple(records), notes=(*data.notes, *refused))


def _method(record: Importance) -> str:
    by_chance = f"; level of chance: {record.chance}" if record.chance else "; no level of chance"
    return (
        f"{record.estimator.title}: {record.estimator.question} "
        f"(interval: {record.interval}{by_chance})."
    )


def _panel(record: Importance) -> Panel:
    factor = record.estimator.factor
    return share_panel(
        share_frame([(dimension_symbol(s.dimension), s) for s in record.shares], factor),
        record.data.method,
        title=record.estimator.title,
        axis=record.estimator.axis,
        level=None if record.level is None else record.level * factor,
    )


def share_frame(
    shares: Sequence[tuple[str, DimensionShare | PairShare]], factor: float
) -> pd.DataFrame:
    """Return a row per share: its name, value, interval, and its significance."""
    return pd.DataFrame(
        [
            {
                "y": name,
                "x": share.value * factor,
                "low": share.low * factor,
                "high": share.high * factor,
                "is_filled": share.is_significant,
                "told": f"{name}: {share.value * factor:.3g} "
                f"[{share.low * factor:.3g}, {share.high * factor:.3g}]"
                f"{p_of(share.p_value)}",
            }
            for name, share in shares
        ]
    )


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="sensitivity")
