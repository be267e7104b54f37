"""What pairs of dimensions explain beyond each alone: a row per pair, the strongest on top."""

from __future__ import annotations

from collections.abc import Sequence

from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.importance import MORE, NOT_MORE, level_line, say_p, stands_on
from study.figures.style import look
from study.records.labels import dimension_symbol
from study.sensitivity.importance import Interactions, PairShare
from study.sensitivity.intervals import CONFIDENCE

SHOWN_PAIRS = 15
_FRAME_INCHES, _ROW_INCHES = 1.0, 0.26


def chart(record: Interactions) -> Chart:
    """Draw the strongest pairs with their intervals, and the level of chance."""
    pairs = record.pairs[:SHOWN_PAIRS]
    names = [pair_symbol(pair) for pair in pairs]
    panel = Panel(
        title=record.estimator,
        x=Axis(title="Share of the variance beyond each dimension alone [%]"),
        y=Axis(
            ticks=tuple((float(place), name) for place, name in enumerate(names)),
            is_reversed=True,
            limits=(-0.5, len(names) - 0.5),
        ),
        series=tuple(_series(record, pairs)),
        levels=level_line(record.level, 100.0),
    )
    height = _FRAME_INCHES + _ROW_INCHES * len(pairs)
    return Chart(rows=((panel,),), caption=caption(record), heights=(height,))


def caption(record: Interactions) -> str:
    """Say what is drawn: trials, replicas, metric, design, interval and level."""
    level = f"Level of chance: {record.chance}." if record.chance else ""
    filled = "more than chance, all pairs together" if record.chance else "interval above 0"
    left = len(record.pairs) - SHOWN_PAIRS
    sentences = (
        f"Interactions of pairs of dimensions for {stands_on(record.data)}",
        f"Bars: {CONFIDENCE:.0%} intervals ({record.interval}). Filled: {filled}.",
        level,
        f"{left} weaker pairs are in the table alone." if left > 0 else "",
        *record.notes,
    )
    return " ".join(sentence for sentence in sentences if sentence)


def pair_symbol(pair: PairShare) -> str:
    """Write a pair with the paper's symbols: ``K × α``."""
    return f"{dimension_symbol(pair.first)} × {dimension_symbol(pair.second)}"


def _series(record: Interactions, pairs: Sequence[PairShare]) -> list[Series]:
    found = []
    for is_significant in (True, False):
        rows = [(i, pair) for i, pair in enumerate(pairs) if pair.is_significant == is_significant]
        if rows:
            found.append(_points(record, rows, is_significant=is_significant))
    return found


def _points(
    record: Interactions, rows: Sequence[tuple[int, PairShare]], *, is_significant: bool
) -> Series:
    has_level = record.level is not None
    more = MORE if has_level else "interval above 0"
    not_more = NOT_MORE if has_level else "interval holds 0"
    return Series(
        name=more if is_significant else not_more,
        look=look(record.data.method),
        x=tuple(pair.value * 100 for _, pair in rows),
        y=tuple(float(place) for place, _ in rows),
        low=tuple(pair.low * 100 for _, pair in rows),
        high=tuple(pair.high * 100 for _, pair in rows),
        spread="x",
        mark="points",
        is_hollow=not is_significant,
        hover=tuple(
            f"{pair_symbol(p)}: {p.value * 100:.3g} [{p.low * 100:.3g}, {p.high * 100:.3g}]"
            f"{say_p(p.p_value)}"
            for _, p in rows
        ),
    )
