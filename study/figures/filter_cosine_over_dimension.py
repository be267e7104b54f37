"""How alike the filters of each layer are over the values of one dimension."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from study.figures.dimension_curve import caption as curve_caption
from study.figures.dimension_curve import draw_panel
from study.figures.style import MUTED, add_caption, add_legend, new_figure, styled
from study.sensitivity import MEAN_LAYER, FilterCosineCurves, dimension_axis

_COLUMNS = 3
_ROW_INCHES = 1.75


def draw(record: FilterCosineCurves) -> Figure:
    """Draw one panel per layer, the mean over layers last, with chance as a line."""
    with styled():
        rows = math.ceil(len(record.curves) / _COLUMNS)
        columns = min(_COLUMNS, len(record.curves))
        figure = new_figure(1.5 + _ROW_INCHES * rows)
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, curve in zip(panels, record.curves, strict=False):
            axes.axhline(record.chance, color=MUTED, linewidth=1, label="chance")
            draw_panel(axes, curve)
            axes.set_title(_layer_name(curve.metric))
        for axes in panels[len(record.curves) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel("Filter cosine")
        for axes in panels[max(0, len(record.curves) - columns) : len(record.curves)]:
            axes.set_xlabel(dimension_axis(record.dimension).rpartition(", ")[2])
        add_legend(figure, panels[0])
        add_caption(figure, caption(record))
    return figure


def caption(record: FilterCosineCurves) -> str:
    """Say what is drawn: n, interval, chance and that the vertical axes differ."""
    return (
        f"Mean signed cosine between the filters of a layer after training (lower: more "
        f"diverse); vertical axes differ. {curve_caption(record.curves[0])} "
        f"Grey line: chance, {record.chance:g}."
    )


def _layer_name(metric: str) -> str:
    layer = metric.rpartition("/")[2]
    return "Mean over layers" if layer == MEAN_LAYER else layer
