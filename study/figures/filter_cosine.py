"""How alike the filters of each layer are, arm by arm: the paper's table 1 as a figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from study.figures.chart import Axis, Chart, Level, Panel, Series
from study.figures.hover import measured
from study.figures.style import MUTED, Look, looks
from study.sensitivity import (
    CONFIDENCE,
    MEAN_LAYER,
    ArmCosine,
    FilterCosineByLayer,
    Interval,
    arm_label,
)

_SPREAD = 0.56
"""Share of a layer's place over which the arms' markers are spread."""

_STEP = _SPREAD / 9
"""Distance between a network's marker and that of its initialization."""

_CHANCE = Look(color=MUTED, marker="", line="-")
_DIVIDER = Look(color=MUTED, marker="", line=":")


def chart(record: FilterCosineByLayer) -> Chart:
    """Draw the mean signed cosine of every layer and arm with its interval.

    Filled markers are the trained networks, hollow ones the same networks at initialization.
    """
    layers = _layers(record)
    styles = looks([arm.method for arm in record.arms])
    offsets = [_offset(index, len(record.arms)) for index in range(len(record.arms))]
    panel = Panel(
        title="Filter cosine per convolution layer",
        x=Axis(
            ticks=tuple((float(i), _layer_name(layer)) for i, layer in enumerate(layers)),
            limits=(-0.5, len(layers) - 0.5),
        ),
        y=Axis(title="Mean signed filter cosine"),
        series=tuple(
            series
            for arm, style, offset in zip(record.arms, styles, offsets, strict=True)
            for series in _arm(arm, style, offset, layers)
        ),
        levels=_levels(record, layers),
    )
    return Chart(rows=((panel,),), caption=caption(record), heights=(2.8,))


def caption(record: FilterCosineByLayer) -> str:
    """Say what is drawn: n, interval, epoch, initialization, chance and what is missing."""
    counts = sorted({layer.last.n for arm in record.arms for layer in arm.layers})
    epochs = sorted({arm.epoch for arm in record.arms})
    text = (
        f"Filter cosine on {record.dataset}, {record.model}: signed cosine over all pairs of a "
        f"layer's filters after {' or '.join(map(str, epochs))} epochs (filled) and at "
        f"initialization (hollow); mean of n = {' or '.join(map(str, counts))} replicas, bars: "
        f"{CONFIDENCE:.0%} Student's t interval. Lower means more diverse filters. "
        f"'mean' is the unweighted mean over layers."
    )
    return " ".join((text, *record.notes))


def _layers(record: FilterCosineByLayer) -> tuple[str, ...]:
    names = dict.fromkeys(layer.layer for arm in record.arms for layer in arm.layers)
    return tuple(sorted(names, key=lambda name: name == MEAN_LAYER))


def _layer_name(layer: str) -> str:
    return "mean over\nlayers" if layer == MEAN_LAYER else layer


def _offset(index: int, count: int) -> float:
    return 0.0 if count == 1 else (index / (count - 1) - 0.5) * _SPREAD


def _levels(record: FilterCosineByLayer, layers: Sequence[str]) -> tuple[Level, ...]:
    chance = Level(
        name="chance (random filters)",
        look=_CHANCE,
        value=record.chance,
        hover=f"{record.chance:g}",
    )
    if MEAN_LAYER not in layers or len(layers) == 1:
        return (chance,)
    return chance, Level(name="", look=_DIVIDER, value=len(layers) - 1.5, axis="x")


def _arm(arm: ArmCosine, style: Look, offset: float, layers: Sequence[str]) -> Iterator[Series]:
    name = arm_label(arm.arm, arm.method)
    places = {one.layer: layers.index(one.layer) + offset for one in arm.layers}
    last = [(places[one.layer] + _STEP / 2, one.layer, one.last) for one in arm.layers]
    initial = [
        (places[one.layer] - _STEP / 2, f"{one.layer}, at initialization", one.initial)
        for one in arm.layers
        if one.initial is not None
    ]
    yield _points(name, style, last, is_hollow=False)
    if initial:
        yield _points(name, style, initial, is_hollow=True)


def _points(
    name: str, style: Look, points: Sequence[tuple[float, str, Interval]], *, is_hollow: bool
) -> Series:
    intervals = [interval for _, _, interval in points]
    return Series(
        name=name,
        look=style,
        x=tuple(place for place, _, _ in points),
        y=tuple(interval.mean for interval in intervals),
        low=tuple(interval.low for interval in intervals),
        high=tuple(interval.high for interval in intervals),
        mark="points",
        is_hollow=is_hollow,
        opacity=0.65 if is_hollow else 1.0,
        hover=tuple(
            f"{layer}\n{measured(interval, 'filter_cosine/mean')}" for _, layer, interval in points
        ),
    )
