"""How alike the filters of each layer are over the values of one dimension."""

from __future__ import annotations

from study.figures.chart import Axis, Chart, Level, Panel, in_rows
from study.figures.dimension_curve import caption as curve_caption
from study.figures.dimension_curve import dimension, level, line
from study.figures.style import MUTED, Look
from study.sensitivity import MEAN_LAYER, DimensionCurve, FilterCosineCurves, dimension_axis

_COLUMNS = 3
_ROW_INCHES = 1.75
_CHANCE = Look(color=MUTED, marker="", line="-")


def chart(record: FilterCosineCurves) -> Chart:
    """Draw one panel per layer, the mean over layers last, with chance as a line."""
    count = len(record.curves)
    panels = [
        _panel(record, curve, is_first=place % _COLUMNS == 0, is_lowest=place + _COLUMNS >= count)
        for place, curve in enumerate(record.curves)
    ]
    rows = in_rows(panels, _COLUMNS)
    return Chart(rows=rows, caption=caption(record), heights=(_ROW_INCHES,) * len(rows))


def caption(record: FilterCosineCurves) -> str:
    """Say what is drawn: n, interval, chance and that the vertical axes differ."""
    return (
        f"Mean signed cosine between the filters of a layer after training (lower: more "
        f"diverse); vertical axes differ. {curve_caption(record.curves[0])} "
        f"Gray line: chance, {record.chance:g}."
    )


def _panel(
    record: FilterCosineCurves, curve: DimensionCurve, *, is_first: bool, is_lowest: bool
) -> Panel:
    """Draw a layer; only the first of a row and the lowest of a column name their axes."""
    title = dimension_axis(record.dimension).rpartition(", ")[2] if is_lowest else ""
    chance = Level(name="chance", look=_CHANCE, value=record.chance, hover=f"{record.chance:g}")
    return Panel(
        title=_layer_name(curve.metric),
        x=dimension(curve, title),
        y=Axis(title="Filter cosine" if is_first else ""),
        series=(line(curve),),
        levels=(chance, *(level(control, curve.metric) for control in curve.controls)),
    )


def _layer_name(metric: str) -> str:
    layer = metric.rpartition("/")[2]
    return "Mean over layers" if layer == MEAN_LAYER else layer
