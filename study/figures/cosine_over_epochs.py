"""Filter cosine of each layer during training, from initialization on, with chance."""

from __future__ import annotations

from study.figures.chart import Axis, Chart, Level, Panel, Series, in_rows
from study.figures.style import CHANCE_LOOK, Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    CosineOverEpochs,
    EpochCurve,
    LayerOverEpochs,
    arm_label,
)

_COLUMNS = 3
_ROW_INCHES = 2.1


def chart(record: CosineOverEpochs) -> Chart:
    """Draw a panel per layer, the mean over layers first, with a line and a band per arm."""
    styles = looks_by_arm((c.arm, c.method) for one in record.layers for c in one.curves)
    panels = [_panel(one, styles) for one in record.layers]
    rows = in_rows(panels, _COLUMNS)
    return Chart(rows=rows, caption=caption(record), heights=(_ROW_INCHES,) * len(rows))


def caption(record: CosineOverEpochs) -> str:
    """Say what is drawn: n, interval, chance and what epoch 0 is."""
    counts = " or ".join(map(str, record.replicas))
    text = (
        f"Filter cosine on {record.dataset}, {record.model}, during the training of each arm's "
        f"chosen configuration: mean of n = {counts} replicas on fresh seeds, band: "
        f"{CONFIDENCE:.0%} Student's t interval of the mean. Epoch 0 is the freshly initialized "
        f"model; dotted: what random filters have. Lower means more diverse filters. Relative to "
        f"chance: mean |cosine| over its value for random filters."
    )
    return " ".join((text, *record.notes))


def _panel(one: LayerOverEpochs, styles: dict[str, Look]) -> Panel:
    is_relative = one.kind.endswith("relative")
    name = "mean over layers" if one.layer == "mean" else one.layer
    return Panel(
        title=f"{name}, relative to chance" if is_relative else name,
        x=Axis(title="Epoch", is_integer=True),
        y=Axis(title="|cosine| / chance" if is_relative else "Signed cosine"),
        series=tuple(_series(curve, styles[curve.arm]) for curve in one.curves),
        levels=(Level(name="random filters", look=CHANCE_LOOK, value=one.chance),),
    )


def _series(curve: EpochCurve, style: Look) -> Series:
    return Series(
        name=arm_label(curve.arm, curve.method),
        look=style,
        x=tuple(float(point.epoch) for point in curve.points),
        y=tuple(point.level.mean for point in curve.points),
        low=tuple(point.level.low for point in curve.points),
        high=tuple(point.level.high for point in curve.points),
        hover=tuple(
            f"epoch {point.epoch}: {point.level.mean:.4f}"
            + ("" if point.change is None else f", since initialization {point.change.mean:+.4f}")
            for point in curve.points
        ),
    )
