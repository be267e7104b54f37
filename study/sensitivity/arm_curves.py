"""One dimension over several arms: the paper's figure 4, with differences to Base."""

from __future__ import annotations

from dataclasses import dataclass

from study.errors import ReportError
from study.sensitivity.over_dimension import DimensionCurve, over_dimension, swept_dimensions
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCurves:
    """The curves of several arms over one dimension.

    Attributes:
        study: Name of the study.
        dimension: Name of the dimension.
        metrics: Keys of the metrics.
        curves: By metric, in the order of ``metrics``, one curve per arm that has it.
        notes: What is missing, in sentences.
    """

    study: str
    dimension: str
    metrics: tuple[str, ...]
    curves: tuple[tuple[DimensionCurve, ...], ...]
    notes: tuple[str, ...]


def shared_sweeps(table: TrialTable) -> dict[str, tuple[str, ...]]:
    """Give the dimensions that several arms sweep, with the names of these arms."""
    found: dict[str, list[str]] = {}
    for arm in table.arms:
        for dimension in swept_dimensions(table, arm):
            found.setdefault(dimension, []).append(arm.name)
    return {name: tuple(arms) for name, arms in found.items() if len(arms) > 1}


def arm_curves(table: TrialTable, dimension: str, metrics: tuple[str, ...]) -> ArmCurves:
    """Give some metrics over a dimension for all arms that sweep it.

    Args:
        table: Trials of the study.
        dimension: Name of the dimension: ``top_k``.
        metrics: Keys of the metrics; an arm that does not report one is left out of it.

    Raises:
        ReportError: If fewer than 2 arms have a curve of any of the metrics.
    """
    notes: list[str] = []
    curves = tuple(_of_metric(table, dimension, metric, notes) for metric in metrics)
    arms = {curve.arm for group in curves for curve in group}
    if len(arms) < 2:
        raise ReportError(
            f"study '{table.study}': a figure of several arms over {dimension} needs 2 arms with "
            f"a curve, but there are {len(arms)} ({' '.join(dict.fromkeys(notes))})"
        )
    kept = [(metric, group) for metric, group in zip(metrics, curves, strict=True) if group]
    return ArmCurves(
        study=table.study,
        dimension=dimension,
        metrics=tuple(metric for metric, _ in kept),
        curves=tuple(group for _, group in kept),
        notes=tuple(dict.fromkeys(notes)),
    )


def _of_metric(
    table: TrialTable, dimension: str, metric: str, notes: list[str]
) -> tuple[DimensionCurve, ...]:
    found = []
    for arm in shared_sweeps(table).get(dimension, ()):
        try:
            found.append(over_dimension(table, arm, dimension, metric))
        except ReportError as error:
            notes.append(str(error))
    return tuple(found)
