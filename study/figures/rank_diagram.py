"""Methods by their mean rank over several datasets, with the critical difference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pandas as pd

from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Axis, Plane, bars, grid, panel, points
from study.figures.rendering import Chart
from study.figures.theme import looks_by_arm
from study.sensitivity import (
    TEST_METRICS,
    AverageRanks,
    arm_label,
    average_ranks,
    metric_label,
    workloads,
)

_ROW, _FRAME = 26, 10


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return the study, where it has more than one dataset or model."""
    if len(workloads(source.table)) > 1:
        # The metric of the test split that the objective is of the validation split.
        objective = f"test/{source.table.objective.partition('/')[2]}"
        metric = objective if objective in TEST_METRICS else "test/accuracy"
        yield Subject(
            title="Methods by rank over the datasets",
            name=("ranks",),
            arms=tuple(arm.name for arm in source.table.arms),
            read=partial(average_ranks, source.table, metric),
        )


def chart(record: AverageRanks) -> Chart:
    """Draw a row per method: its mean rank, and half the critical difference to either side."""
    half = record.critical_difference / 2
    names = {one.method: arm_label(one.method, one.method) for one in record.methods}
    frame = pd.DataFrame(
        [
            {
                "arm": names[one.method],
                "y": names[one.method],
                "x": one.rank,
                "low": one.rank - half,
                "high": one.rank + half,
                "told": f"{names[one.method]}: ranks {', '.join(f'{r:g}' for r in one.ranks)}",
            }
            for one in record.methods
        ]
    )
    looks = looks_by_arm((one.method, one.method) for one in record.methods)
    plane = Plane(
        x=Axis(title="Mean rank (1 is best)"),
        y=Axis(names=tuple(names.values())),
        looks={names[method]: look for method, look in looks.items()},
        has_legend=False,
    )
    shown = panel(
        bars(frame, plane, along="x"),
        points(frame, plane),
        title=f"Mean rank by {metric_label(record.metric).name}",
        height=_FRAME + _ROW * len(names),
    )
    return grid([shown], columns=1, least=200)


def caption(record: AverageRanks) -> str:
    """Write methods, datasets and the meaning of the bars."""
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


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption)
