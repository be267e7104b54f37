"""Methods by their mean rank over several datasets: a critical-difference diagram."""

from __future__ import annotations

from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.style import looks
from study.sensitivity import AverageRanks, arm_label, metric_label

_ROW_INCHES, _FRAME_INCHES = 0.32, 0.9


def chart(record: AverageRanks) -> Chart:
    """Draw a row per method: its mean rank, and half the critical difference to either side.

    Two methods differ where their bars do not overlap.
    """
    half, count = record.critical_difference / 2, len(record.methods)
    names = [arm_label(one.method, one.method) for one in record.methods]
    styles = looks([one.method for one in record.methods])
    panel = Panel(
        title=f"Mean rank by {metric_label(record.metric).name}",
        x=Axis(title="Mean rank (1 is best)"),
        y=Axis(
            ticks=tuple((float(place), name) for place, name in enumerate(names)),
            is_reversed=True,
            limits=(-0.5, count - 0.5),
        ),
        series=tuple(
            Series(
                name="",
                look=style,
                x=(one.rank,),
                y=(float(place),),
                low=(one.rank - half,),
                high=(one.rank + half,),
                spread="x",
                mark="points",
                hover=(f"{name}: ranks {', '.join(f'{rank:g}' for rank in one.ranks)}",),
            )
            for place, (one, name, style) in enumerate(
                zip(record.methods, names, styles, strict=True)
            )
        ),
    )
    return Chart(
        rows=((panel,),),
        caption=caption(record),
        heights=(_FRAME_INCHES + _ROW_INCHES * count,),
    )


def caption(record: AverageRanks) -> str:
    """Say what is ranked, on what, and what the bars mean."""
    groups = "; ".join(
        ", ".join(arm_label(method, method) for method in group)
        for group in record.insignificant_groups
    )
    sentences = [
        f"Mean rank of {len(record.methods)} methods over {len(record.workloads)} datasets by the "
        f"mean {metric_label(record.metric).name} over replicas; bar: half of Nemenyi's critical "
        f"difference ({record.critical_difference:.2f}) to either side, so that methods differ at "
        f"5% where their bars do not overlap.",
        f"Not shown to differ: {groups}." if groups else "",
        f"All methods alike: p = {record.p_value:.3g} (Friedman's test, by permutation).",
        *record.notes,
    ]
    return " ".join(sentence for sentence in sentences if sentence)
