"""How important each dimension is: a panel per estimator, a row per dimension."""

from __future__ import annotations

from collections.abc import Sequence

from study.figures.chart import Axis, Chart, Level, Panel, Series, in_rows
from study.figures.style import CHANCE_LOOK, look
from study.records.labels import arm_label, dimension_symbol, metric_label
from study.sensitivity.importance import DimensionShare, Importance, SearchData
from study.sensitivity.intervals import CONFIDENCE

CHANCE = "level of chance"
MORE, NOT_MORE = "more than chance", "not shown to be more"
_COLUMNS, _FRAME_INCHES, _ROW_INCHES = 2, 1.0, 0.28


def chart(records: Sequence[Importance]) -> Chart:
    """Draw each estimator's shares with intervals, the largest on top, and the level of chance.

    Args:
        records: Importances from one data, at least one.
    """
    rows = in_rows([_panel(record) for record in records], _COLUMNS)
    height = _FRAME_INCHES + _ROW_INCHES * len(records[0].shares)
    return Chart(rows=rows, caption=caption(records), heights=(height,) * len(rows))


def caption(records: Sequence[Importance]) -> str:
    """Say what is drawn: trials, replicas, metric, design, questions, intervals and levels."""
    parts = [f"Importance of each dimension for {stands_on(records[0].data)}"]
    parts += [_method(record) for record in records]
    parts.append(
        f"Bars: {CONFIDENCE:.0%} intervals. Filled: more than chance, all dimensions of a panel "
        f"taken together."
    )
    return " ".join((*parts, *dict.fromkeys(note for r in records for note in r.notes)))


def stands_on(data: SearchData) -> str:
    """Say what a global claim stands on, as the end of a sentence."""
    replicas = " or ".join(map(str, data.replicas))
    noun = "replica" if data.replicas == (1,) else "replicas"
    return (
        f"{metric_label(data.metric).name} of {arm_label(data.arm, data.method)}: "
        f"n = {data.n} search trials ({data.sampler}), each the mean of {replicas} {noun} at "
        f"its last evaluation."
    )


def level_line(level: float | None, factor: float) -> tuple[Level, ...]:
    """Give the level of chance across the shares, if there is one."""
    if level is None:
        return ()
    hover = f"{CHANCE}: {level * factor:.3g}"
    return (Level(name=CHANCE, look=CHANCE_LOOK, value=level * factor, axis="x", hover=hover),)


def say_p(p_value: float | None) -> str:
    """Write a p value for a pointer; without a level there is none."""
    return "" if p_value is None else f"\np = {p_value:.3g}, over all together"


def _method(record: Importance) -> str:
    by_chance = f"; level of chance: {record.chance}" if record.chance else "; no level of chance"
    return (
        f"{record.estimator.title}: {record.estimator.question} "
        f"(interval: {record.interval}{by_chance})."
    )


def _panel(record: Importance) -> Panel:
    symbols = [dimension_symbol(share.dimension) for share in record.shares]
    return Panel(
        title=record.estimator.title,
        x=Axis(title=record.estimator.axis),
        y=Axis(
            ticks=tuple((float(place), symbol) for place, symbol in enumerate(symbols)),
            is_reversed=True,
            limits=(-0.5, len(symbols) - 0.5),
        ),
        series=tuple(_series(record)),
        levels=level_line(record.level, record.estimator.factor),
    )


def _series(record: Importance) -> list[Series]:
    found = []
    for is_significant in (True, False):
        rows = [(i, s) for i, s in enumerate(record.shares) if s.is_significant == is_significant]
        if rows:
            found.append(_points(record, rows, is_significant=is_significant))
    return found


def _points(
    record: Importance, rows: Sequence[tuple[int, DimensionShare]], *, is_significant: bool
) -> Series:
    factor = record.estimator.factor
    return Series(
        name=MORE if is_significant else NOT_MORE,
        look=look(record.data.method),
        x=tuple(share.value * factor for _, share in rows),
        y=tuple(float(place) for place, _ in rows),
        low=tuple(share.low * factor for _, share in rows),
        high=tuple(share.high * factor for _, share in rows),
        spread="x",
        mark="points",
        is_hollow=not is_significant,
        hover=tuple(
            f"{dimension_symbol(s.dimension)}: {s.value * factor:.3g} "
            f"[{s.low * factor:.3g}, {s.high * factor:.3g}]{say_p(s.p_value)}"
            for _, s in rows
        ),
    )
