"""Attribution maps of several arms for the same test images: the paper's figure 2."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float
from PIL import Image

from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Panel, grid, panel
from study.figures.rendering import Chart
from study.figures.theme import INK
from study.sensitivity import CONTROLS, AttributionMaps, arm_label, maps_with_controls, workloads

POSITIVE, NEGATIVE = (178, 24, 43), (33, 102, 172)
"""Red is evidence for the true class, blue against it."""

_CELL, _LABEL, _PIXELS = 62, 18, 112
_PER_PANEL = 4
_IMAGES = "Test image"


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return each arm with the controls of its workload; a control alone if it is the only arm."""
    for workload in workloads(source.table):
        others = [arm for arm in workload.arms if arm.method not in CONTROLS]
        for arm in others or workload.arms[:1]:
            label = arm_label(arm.name, arm.method)
            yield Subject(
                title=f"Attribution maps of {label} on {workload.dataset}",
                name=(arm.name, "attribution-maps"),
                arms=tuple(
                    one.name for one in workload.arms if one == arm or one.method in CONTROLS
                ),
                read=partial(maps_with_controls, source.table, source.folder, workload, arm),
            )


def chart(record: AttributionMaps) -> Chart:
    """Draw the images in the first row and each arm's maps in a row of its own.

    Relevance is summed over channels. Each map has its own symmetric scale.
    """
    count = len(record.target)
    parts = [range(i, min(i + _PER_PANEL, count)) for i in range(0, count, _PER_PANEL)]
    panels = [_panel(record, part) for part in parts]
    return grid(panels, columns=len(panels), least=240)


def caption(record: AttributionMaps) -> str:
    """Write the meaning of colors, the scales and the replica."""
    names = ", ".join(arm_label(arm.arm, arm.method) for arm in record.arms)
    sentences = (
        f"Attribution maps on {record.dataset} for the true class: red is evidence for it, blue "
        f"against it; each map on its own symmetric scale. Rows: {names}, the same "
        f"{len(record.target)} test images, one replica each. Below each map the predicted class, "
        f"ticked where it is right.",
        *record.notes,
    )
    return " ".join(sentences)


def _panel(record: AttributionMaps, part: range) -> Panel:
    rows = [_IMAGES, *(arm_label(arm.arm, arm.method) for arm in record.arms)]
    images, labels = [], []
    for i in part:
        images.append({"x": str(i), "y": _IMAGES, "url": _address(_photo(record.inputs[i]))})
        labels.append({"x": str(i), "y": _IMAGES, "words": f"true {record.target[i]}", "sign": ""})
        for arm, name in zip(record.arms, rows[1:], strict=True):
            images.append({"x": str(i), "y": name, "url": _address(colored(arm.relevance[i]))})
            sign = "✓" if arm.predicted[i] == record.target[i] else "✗"
            labels.append({"x": str(i), "y": name, "words": str(arm.predicted[i]), "sign": sign})
    x = alt.X("x:N", axis=None, scale=alt.Scale(domain=[str(i) for i in part]))
    axis = alt.Axis(domain=False, ticks=False, grid=False, labelFontWeight="bold", labelColor=INK)
    y = alt.Y("y:N", title=None, axis=axis, scale=alt.Scale(domain=rows))
    text = alt.Chart(pd.DataFrame(labels)).encode(x=x, y=y)
    below: dict[str, Any] = {"dy": _CELL / 2, "baseline": "middle"}
    return panel(
        [
            alt.Chart(pd.DataFrame(images))
            .mark_image(width=_CELL, height=_CELL, yOffset=-_LABEL / 2)
            .encode(x=x, y=y, url="url:N"),
            text.mark_text(style="unit", align="center", **below).encode(text="words:N"),
            # Apart from the number: not every font has these.
            text.mark_text(style="unit", dx=8, **below).encode(text="sign:N"),
        ],
        height=(_CELL + _LABEL + 8) * len(rows),
    )


def colored(
    relevance: Float[np.ndarray, "channel height width"],
) -> np.ndarray:
    """Return relevance as colors: red above 0, blue below, white at 0, on a symmetric scale."""
    total = relevance.sum(axis=0)
    share = total / (float(np.abs(total).max()) or 1.0)
    ends = np.where(share[..., None] > 0, np.array(POSITIVE), np.array(NEGATIVE))
    shade: np.ndarray = 255 + (ends - 255) * np.abs(share)[..., None]
    rounded: np.ndarray = shade.round().astype(np.uint8)
    return rounded


def _photo(pixels: Float[np.ndarray, "channel height width"]) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels - low) / ((high - low) or 1.0)
    if len(pixels) == 3:
        return np.asarray(np.moveaxis(scaled, 0, -1) * 255, dtype=np.uint8)
    return np.asarray((1 - scaled.mean(axis=0)) * 255, dtype=np.uint8)


def _address(pixels: np.ndarray) -> str:
    """Return an image as a ``data:`` address, enlarged so that pixels stay sharp."""
    image = Image.fromarray(pixels)
    factor = max(1, _PIXELS // max(image.size))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    image.save(stream, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="filters")
