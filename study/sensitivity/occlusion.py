"""Robustness to hidden inputs: a test metric over the hidden share of a sample."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.sensitivity.intervals import (
    Compared,
    ReplicaValues,
    curve_differences,
    differences_to,
    last_values,
)
from study.sensitivity.workloads import (
    Workload,
    control_of,
    read_arms,
    require_replicated,
    workloads,
)

OCCLUSION_ORDERS = ("random", "most_relevant")
"""Orders in which positions are hidden: at random, or the most relevant first."""

_UNOCCLUDED = "occlusion/none"
_KEY = re.compile(rf"occlusion/({'|'.join(OCCLUSION_ORDERS)})/(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OcclusionPoint(Compared):
    """One hidden share; one family of comparisons is all arms and shares of one order.

    Attributes:
        share: Hidden share of a sample's positions; 0 for the whole sample, whose difference is
            in the comparison.
    """

    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OcclusionCurve:
    """The chosen configuration of one arm, with positions hidden in one order.

    Attributes:
        order: ``random`` or ``most_relevant``.
        seeds: Replica seeds of every point.
        points: By increasing share, from 0.
        area: Area under the curve by the trapezoidal rule, divided by the largest share: the
            metric's mean over the shares, in its unit. One family of comparisons is the arms;
            there is none where Base was tested with other shares.
    """

    arm: str
    method: str
    order: str
    seeds: tuple[int, ...]
    points: tuple[OcclusionPoint, ...]
    area: Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness(Tabular):
    """The arms on one dataset and model under occlusion.

    Attributes:
        metric: Key of the measured metric: accuracy, or AUC for multi-label data.
        curves: By order, then in the order of the study file.
        notes: Missing arms and comparisons, in sentences.
    """

    study: str
    dataset: str
    model: str
    metric: str
    curves: tuple[OcclusionCurve, ...]
    notes: tuple[str, ...]

    def curves_for(self, order: str) -> tuple[OcclusionCurve, ...]:
        """Return the curves of one order."""
        return tuple(curve for curve in self.curves if curve.order == order)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per order, arm and hidden share, and one for the area under each curve."""
        for curve in self.curves:
            found = [(point.share, point) for point in curve.points]
            for share, one in (*found, (curve.points[-1].share, curve.area)):
                yield {
                    "arm": curve.arm,
                    "method": curve.method,
                    "dataset": self.dataset,
                    "model": self.model,
                    "metric": self.metric,
                    "order": curve.order,
                    "share": share,
                    "is_area": one is curve.area,
                    **one.cells(curve.seeds),
                }


# Arm to share to the metric; one order.
_Values: TypeAlias = dict[str, dict[float, ReplicaValues]]


def occluded_workloads(table: TrialTable) -> tuple[Workload, ...]:
    """Return the datasets and models with an arm whose chosen configuration was occluded."""

    def is_occluded(arm: ArmRow) -> bool:
        chosen = table.chosen(arm.name)
        return chosen is not None and any(_shares(chosen, order) for order in OCCLUSION_ORDERS)

    return tuple(one for one in workloads(table) if any(map(is_occluded, one.arms)))


def robustness(table: TrialTable, workload: Workload) -> Robustness:
    """Compute the test metric over the hidden share for every arm's chosen configuration.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas and an occlusion
            test, or trials that should be pairs have different seeds.
    """
    chosen, notes = read_arms(workload.arms, partial(_occluded_trial, table))
    if not chosen:
        raise ReportError(
            f"study '{table.study}': robustness on {workload.dataset} needs an arm with a "
            f"completed final trial of at least 2 replicas that was tested with hidden inputs, "
            f"but there is none ({' '.join(notes)})"
        )
    base = control_of(table, workload.arms[0], "base")
    reference = None if base is None else base.name
    by_order = {
        order: {name: _values(row, order) for name, row in chosen.items()}
        for order in OCCLUSION_ORDERS
    }
    return Robustness(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        metric="test/auc" if workload.arms[0].is_multi_label else "test/accuracy",
        curves=tuple(
            curve
            for order, values in by_order.items()
            for curve in _curves(table, order, values, reference)
        ),
        notes=(*notes, *_notes(workload, by_order[OCCLUSION_ORDERS[0]], reference)),
    )


def _occluded_trial(table: TrialTable, arm: ArmRow) -> TrialRow:
    row = require_replicated(table, arm)
    if not all(_shares(row, order) for order in OCCLUSION_ORDERS):
        raise ReportError(
            f"arm '{row.arm}' was not tested with hidden inputs; give it 'evaluation.occlusion' "
            "in a study of another name."
        )
    return row


def _shares(row: TrialRow, order: str) -> tuple[float, ...]:
    keys = (_KEY.fullmatch(key) for report in row.reports for key in report.metrics)
    return tuple(sorted({float(key[2]) for key in keys if key is not None and key[1] == order}))


def _values(row: TrialRow, order: str) -> dict[float, ReplicaValues]:
    occluded = {s: last_values(row, f"occlusion/{order}/{s}") for s in _shares(row, order)}
    return {0.0: last_values(row, _UNOCCLUDED), **occluded}


def _curves(
    table: TrialTable, order: str, values: _Values, base: str | None
) -> Iterator[OcclusionCurve]:
    differences = curve_differences(values, base)
    areas = {name: _area_under_curve(by_share) for name, by_share in values.items()}
    reference = values.get(base or "", {})
    to_base = differences_to(
        areas.get(base or ""),
        {
            name: area
            for name, area in areas.items()
            if name != base and values[name].keys() == reference.keys()
        },
    )
    for name, by_share in values.items():
        yield OcclusionCurve(
            arm=name,
            method=table.arm(name).method,
            order=order,
            seeds=areas[name].seeds,
            points=tuple(
                OcclusionPoint(
                    share=share,
                    replicas=found.values,
                    to_base=differences.get((name, share)),
                )
                for share, found in by_share.items()
            ),
            area=Compared(replicas=areas[name].values, to_base=to_base.get(name)),
        )


def _area_under_curve(by_share: Mapping[float, ReplicaValues]) -> ReplicaValues:
    shares = list(by_share)
    values = np.array([found.values for found in by_share.values()])
    areas = np.asarray(np.trapezoid(values, shares, axis=0))
    return replace(
        by_share[0.0],
        metric="the area under the occlusion curve",
        values=tuple((areas / shares[-1]).tolist()),
    )


def _notes(workload: Workload, values: _Values, base: str | None) -> Iterator[str]:
    if base is None:
        yield f"The study has no base arm on {workload.dataset} with {workload.model}."
        return
    if base not in values:
        return
    for name, by_share in values.items():
        if by_share.keys() != values[base].keys():
            yield (
                f"Arm '{name}' and its Base were tested with different hidden shares; only those "
                "that both have are compared, and their areas are not."
            )
