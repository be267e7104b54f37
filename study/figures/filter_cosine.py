"""How alike the filters of each layer are, arm by arm: the paper's table 1 as a figure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.figures.style import (
    MUTED,
    Look,
    add_caption,
    add_legend,
    looks,
    new_figure,
    styled,
)
from study.sensitivity import CONFIDENCE, MEAN_LAYER, ArmCosine, FilterCosine, Interval, arm_label

_SPREAD = 0.56
"""Share of a layer's place over which the arms' markers are spread."""


def draw(record: FilterCosine) -> Figure:
    """Draw the mean signed cosine of every layer and arm with its interval.

    Filled markers are the trained networks, hollow ones the same networks at initialisation.
    """
    with styled():
        figure = new_figure(3.8)
        axes = figure.subplots()
        layers = _layers(record)
        axes.axhline(record.chance, color=MUTED, linewidth=1, label="chance (random filters)")
        styles = looks([arm.method for arm in record.arms])
        for index, (arm, style) in enumerate(zip(record.arms, styles, strict=True)):
            _draw_arm(axes, arm, style, _offset(index, len(record.arms)), layers)
        if MEAN_LAYER in layers and len(layers) > 1:
            axes.axvline(len(layers) - 1.5, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_xticks(range(len(layers)), [_layer_name(layer) for layer in layers])
        axes.set_xlim(-0.5, len(layers) - 0.5)
        axes.set_ylabel("Mean signed filter cosine")
        axes.set_title("Filter cosine per convolution layer")
        add_legend(figure, axes)
        add_caption(figure, caption(record))
    return figure


def caption(record: FilterCosine) -> str:
    """Say what is drawn: n, interval, epoch, initialisation, chance and what is missing."""
    counts = sorted({layer.last.n for arm in record.arms for layer in arm.layers})
    epochs = sorted({arm.epoch for arm in record.arms})
    text = (
        f"Filter cosine on {record.dataset}, {record.model}: signed cosine over all pairs of a "
        f"layer's filters after {' or '.join(map(str, epochs))} epochs (filled) and at "
        f"initialisation (hollow); mean of n = {' or '.join(map(str, counts))} replicas, bars: "
        f"{CONFIDENCE:.0%} Student's t interval. Lower means more diverse filters. "
        f"'mean' is the unweighted mean over layers."
    )
    return " ".join((text, *record.notes))


def _layers(record: FilterCosine) -> tuple[str, ...]:
    names = dict.fromkeys(layer.layer for arm in record.arms for layer in arm.layers)
    return tuple(sorted(names, key=lambda name: name == MEAN_LAYER))


def _layer_name(layer: str) -> str:
    return "mean over\nlayers" if layer == MEAN_LAYER else layer


def _offset(index: int, count: int) -> float:
    return 0.0 if count == 1 else (index / (count - 1) - 0.5) * _SPREAD


def _draw_arm(
    axes: Axes, arm: ArmCosine, style: Look, offset: float, layers: tuple[str, ...]
) -> None:
    step = _SPREAD / 9
    for layer in arm.layers:
        place = layers.index(layer.layer) + offset
        if layer.initial is not None:
            _draw_interval(axes, place - step / 2, layer.initial, style, is_filled=False)
        _draw_interval(axes, place + step / 2, layer.last, style, is_filled=True)
    axes.plot(
        [],
        [],
        linestyle="none",
        marker=style.marker,
        color=style.colour,
        label=arm_label(arm.arm, arm.method),
    )


def _draw_interval(
    axes: Axes, place: float, interval: Interval, style: Look, *, is_filled: bool
) -> None:
    axes.errorbar(
        [place],
        [interval.mean],
        yerr=[[interval.mean - interval.low], [interval.high - interval.mean]],
        fmt=style.marker,
        color=style.colour,
        markerfacecolor=style.colour if is_filled else "white",
        alpha=1.0 if is_filled else 0.65,
        capsize=2.5,
        elinewidth=1.1,
        markersize=5 if is_filled else 4,
    )
