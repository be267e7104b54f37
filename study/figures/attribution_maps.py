"""Attribution maps of several arms for the same test images: the paper's figure 2."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from study.figures.sheet import finish, new_figure
from study.figures.style import MUTED, styled
from study.sensitivity import AttributionMaps, arm_label

_COLORS = "RdBu_r"
_ROW_INCHES = 0.9


def draw(record: AttributionMaps) -> Figure:
    """Draw the images in the first row and each arm's maps in a row of its own.

    Relevance is summed over channels. Each map has its own symmetric scale.
    """
    with styled():
        n_rows, n_columns = len(record.arms) + 1, len(record.target)
        figure = new_figure(0.3 + _ROW_INCHES * n_rows)
        panels = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in panels.flat:
            _strip(axes)
        for column, target in enumerate(record.target):
            panels[0, column].imshow(_image(record.inputs[column]), cmap="gray_r")
            _write(panels[0, column], f"true {target}")
        _name_row(panels[0, 0], "Test image")
        for row, arm in enumerate(record.arms, start=1):
            _name_row(panels[row, 0], arm_label(arm.arm, arm.method))
            for column, predicted in enumerate(arm.predicted):
                _draw_map(panels[row, column], arm.relevance[column])
                sign = "✓" if predicted == record.target[column] else "✗"
                _write(panels[row, column], f"pred. {predicted} {sign}")
        _add_scale(figure, list(panels[1:].flat))
        finish(figure, caption(record))
    return figure


def caption(record: AttributionMaps) -> str:
    """Say what the colors mean, how maps are scaled and which replica is shown."""
    names = ", ".join(arm_label(arm.arm, arm.method) for arm in record.arms)
    return (
        f"Attribution maps on {record.dataset} for the true class: red is evidence for it, blue "
        f"against it; each map on its own symmetric scale. Rows: {names}, the same "
        f"{len(record.target)} test images, one replica each. "
        f"Below each map the predicted class, ✓ where it is right."
    )


def _draw_map(axes: Axes, relevance: Float[np.ndarray, "channel height width"]) -> None:
    total = relevance.sum(axis=0)
    limit = float(np.abs(total).max()) or 1.0
    axes.imshow(total, cmap=_COLORS, vmin=-limit, vmax=limit, interpolation="nearest")


def _image(
    pixels: Float[np.ndarray, "channel height width"],
) -> Float[np.ndarray, "height width *rgb"]:
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels - low) / ((high - low) or 1.0)
    return np.moveaxis(scaled, 0, -1) if len(pixels) == 3 else scaled.mean(axis=0)


def _strip(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#d0d0d0", linewidth=0.6)


def _write(axes: Axes, text: str) -> None:
    axes.set_xlabel(text, fontsize=7, labelpad=2)


def _name_row(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, fontsize=8.5, fontweight="bold", labelpad=6)


def _add_scale(figure: Figure, panels: list[Axes]) -> None:
    scale = ScalarMappable(norm=Normalize(-1, 1), cmap=_COLORS)
    bar = figure.colorbar(scale, ax=panels, shrink=0.8, aspect=24, pad=0.015)
    bar.set_ticks([-1, 0, 1], labels=["−max", "0", "+max"])
    bar.set_label("Relevance for the true class", color=MUTED)
    bar.outline.set_visible(False)
