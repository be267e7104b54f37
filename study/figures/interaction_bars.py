"""Interactions of pairs of dimensions: a row per pair, the strongest on top."""

from __future__ import annotations

from collections.abc import Iterator

from study.figures.figure import Figure, ReportSource, Subject
from study.figures.importance_bars import (
    describe_trials,
    metric_subjects,
    share_frame,
    share_panel,
    trials_for,
)
from study.figures.marks import grid
from study.figures.rendering import Chart
from study.records.labels import dimension_symbol
from study.records.trial_table import ArmRow
from study.sensitivity.importance import Interactions, PairShare, interactions
from study.sensitivity.intervals import CONFIDENCE

SHOWN_PAIRS = 15


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every arm of two dimensions or more that can be asked, with each metric."""
    several = {arm.name for arm in source.table.arms if len(arm.dimensions) > 1}
    for subject in metric_subjects(source, "interactions for {metric}", "interactions", _read):
        if subject.arms[0] in several:
            yield subject


def chart(record: Interactions) -> Chart:
    """Draw the strongest pairs with their intervals, and the level of chance."""
    pairs = [(pair_symbol(pair), pair) for pair in record.shares[:SHOWN_PAIRS]]
    shown = share_panel(
        share_frame(pairs, 100.0),
        record.data.method,
        title=record.name,
        axis="Share of the variance beyond each alone [%]",
        level=None if record.level is None else record.level * 100,
    )
    return grid([shown], columns=1, least=240)


def caption(record: Interactions) -> str:
    """Write trials, replicas, metric, design, interval and level."""
    level = f"Level of chance (dotted): {record.chance}." if record.chance else ""
    filled = (
        "more than chance, all pairs corrected together" if record.chance else "interval above 0"
    )
    left = len(record.shares) - SHOWN_PAIRS
    sentences = (
        f"Interactions of pairs of dimensions for {describe_trials(record.data)}",
        f"Bars: {CONFIDENCE:.0%} intervals ({record.interval}). Filled: {filled}.",
        level,
        f"{left} weaker pairs are in the table alone." if left > 0 else "",
        *record.notes,
    )
    return " ".join(sentence for sentence in sentences if sentence)


def pair_symbol(pair: PairShare) -> str:
    """Return a pair with the paper's symbols: ``K × α``."""
    return f"{dimension_symbol(pair.first)} × {dimension_symbol(pair.second)}"


def _read(source: ReportSource, arm: ArmRow, metric: str) -> Interactions:
    return interactions(trials_for(source, arm, metric))


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="sensitivity")
