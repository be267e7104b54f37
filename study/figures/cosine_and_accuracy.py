"""Filter cosine beside accuracy, trial by trial, with the correlation."""

from __future__ import annotations

from collections.abc import Sequence

from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.style import looks
from study.sensitivity import CONFIDENCE, Correlation, CosineAndAccuracy, arm_label, metric_label


def chart(records: Sequence[CosineAndAccuracy]) -> Chart:
    """Draw a panel per record: a point per trial, by arm."""
    return Chart(
        rows=(tuple(_panel(record) for record in records),),
        caption=caption(records),
        heights=(3.1,),
    )


def caption(records: Sequence[CosineAndAccuracy]) -> str:
    """Say what a point is, and the correlations with their intervals."""
    first = records[0]
    parts = [
        f"A point is one completed trial on {first.dataset}, {first.model}: means over its "
        f"replicas at the last evaluation; r: Pearson's correlation with {CONFIDENCE:.0%} Fisher "
        f"interval, as if trials were independent (those of an arm share their seeds)."
    ]
    for record in records:
        found = [f"all {say(record.overall)}"] if record.overall else []
        found += [
            f"{arm_label(arm.arm, arm.method)} {say(arm.correlation)}"
            for arm in record.arms
            if arm.correlation and len(record.arms) > 1
        ]
        parts.append(f"{record.phase.capitalize()} trials: {', '.join(found) or 'no spread'}.")
    return " ".join(parts)


def say(found: Correlation) -> str:
    """Write a correlation: ``r = −0.41 [−0.70, 0.02], n = 20``."""
    text = f"r = {found.r:.2f} [{found.low:.2f}, {found.high:.2f}], n = {found.n}"
    return text.replace("-", "−")


def _panel(record: CosineAndAccuracy) -> Panel:
    label = metric_label(record.metric)
    styles = looks([arm.method for arm in record.arms])
    return Panel(
        title=f"{record.phase.capitalize()} trials",
        x=Axis(title="Filter cosine, mean over layers"),
        y=Axis(title=label.axis),
        series=tuple(
            Series(
                name=arm_label(arm.arm, arm.method),
                look=style,
                x=tuple(point.cosine for point in arm.points),
                y=tuple(point.accuracy * label.factor for point in arm.points),
                mark="points",
                opacity=0.8,
                hover=tuple(
                    f"trial {point.number}: cosine {point.cosine:.4f}, {label.name} "
                    f"{point.accuracy * label.factor:.{label.digits}f}{label.unit}"
                    for point in arm.points
                ),
            )
            for arm, style in zip(record.arms, styles, strict=True)
        ),
    )
