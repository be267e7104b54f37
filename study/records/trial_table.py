"""The trials of a study as plain records: what every analysis, figure and report reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from search_spaces import Condition, Design, Dimension

ParamValue: TypeAlias = int | float | str | bool
PhaseName: TypeAlias = Literal["search", "final"]
TrialState: TypeAlias = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """One evaluation of a trial, as it stands in the trial's result file.

    Attributes:
        epoch: Epochs trained so far; 0 is the freshly initialized model, which has filter
            metrics only.
        time_ms: When the driver received it, in milliseconds since 1970.
        metrics: Metric key to one value per replica, in the order of ``TrialRow.seeds``.
        usage: What all replicas together used of the machine since the report before, by the
            process that trained them: ``trained_s``, ``cpu_s``, on a GPU ``gpu_s`` (seconds times
            the trial's share of it), and levels under MLflow's names of system metrics without
            their ``system/``; see :meth:`trainables.runtime.resource_monitor.ResourceMonitor.take`. What a lost process did
            after its last report, and a trial that failed after its own, is not in it. Empty for
            reports of the first versions.
    """

    epoch: int
    time_ms: int
    metrics: Mapping[str, tuple[float, ...]]
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial: a point of the search space, trained as one replica per seed.

    Attributes:
        arm: Name of the arm.
        phase: ``search`` (validation metrics only) or ``final`` (fresh seeds, test metrics too).
        number: Number of the trial within its arm and phase.
        state: ``COMPLETE`` always means the full budget of epochs.
        params: Value of each dimension; empty for a method without dimensions.
        seeds: Seeds of the replicas. Arms share them, so that equal positions are pairs.
        reports: Evaluations by increasing epoch.
        value: Mean objective after the last epoch, or None.
        reason: Why the trial failed, or None.
        folder: Where the trial keeps its files, relative to the study's folder.
        started_ms: When the trial was asked for, in milliseconds since 1970.
        finished_ms: When the trial ended, or None.
    """

    arm: str
    phase: PhaseName
    number: int
    state: TrialState
    params: Mapping[str, ParamValue]
    seeds: tuple[int, ...]
    reports: tuple[StoredReport, ...]
    value: float | None
    reason: str | None
    folder: str
    started_ms: int
    finished_ms: int | None

    def used(self, what: str) -> float:
        """Sum up what was used of something over all reports: ``trained_s``, ``cpu_s``, ``gpu_s``.

        Seconds of work; a trial without reports, and one of the first versions, gives 0.
        """
        return math.fsum(report.usage.get(what, 0.0) for report in self.reports)

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.state != "RUNNING"

    def last(self, metric: str) -> tuple[float, ...] | None:
        """Give a metric's value per replica at the last evaluation that has it, or None."""
        for report in reversed(self.reports):
            if metric in report.metrics:
                return report.metrics[metric]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm of a study: dataset × model × method.

    Attributes:
        name: Name of the arm, unique in the study.
        dataset: Name and settings that matter, for people: ``digits (3 per class)``.
        model: For people: ``vgg11, width 0.25``.
        method: Name of the method: ``base``, ``random``, ``challenger``, …
        n_classes: Number of classes C of the dataset.
        n_features: Number of input features D of a sample.
        epochs: Full budget of a trial, in epochs.
        dimensions: Name to axis of what this arm searches.
        sweeps: Dimension to the values asked for by ``sensitivity`` in the study file.
        best_params: The chosen configuration, or None while the search is unfinished. Empty
            for a method without dimensions.
        group: Name of the arm over several datasets that it is a member of, and with whose other
            members it shares its search and its choice; None for an arm of its own.
        transfer: Whether the settings that other arms of its method chose are tried on it.
        refusals: Arms whose chosen setting is illegal here, and why.
        domain: Kind of data: ``image``, ``text`` or ``series``.
        is_multi_label: Whether a sample may have several classes, or none.
        sampler: Who proposed its search trials: a sampler (``tpe``, ``random``) or a design
            (``sobol``, ``saltelli``).
        design: The design, or None where a sampler proposed. Search trial i is its point i; of
            Saltelli's, trials i with the same ``i // design.block_size(len(dimensions))`` are one
            block, in SALib's order.
        conditions: For some dimensions, the choice of another one without which they have no
            value.
    """

    name: str
    dataset: str
    model: str
    method: str
    n_classes: int
    n_features: int
    epochs: int
    dimensions: Mapping[str, Dimension]
    sweeps: Mapping[str, tuple[ParamValue, ...]]
    best_params: Mapping[str, ParamValue] | None
    group: str | None = None
    transfer: bool = False
    refusals: Mapping[str, str] = field(default_factory=dict)
    domain: str = "image"
    is_multi_label: bool = False
    sampler: str = "tpe"
    design: Design | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """All arms and trials of a study at one moment.

    Attributes:
        study: Name of the study.
        objective: Metric key by which trials are compared, ``val/accuracy``.
        direction: Whether the objective is maximized or minimized.
        sampler: Names of the samplers and designs that proposed the search trials.
        arms: In the order of the study file.
        rows: By arm, phase and number.
        environment: Versions, hardware and commit: name to text.
    """

    study: str
    objective: str
    direction: Literal["maximize", "minimize"]
    sampler: str
    arms: tuple[ArmRow, ...]
    rows: tuple[TrialRow, ...]
    environment: Mapping[str, str]

    def arm(self, name: str) -> ArmRow:
        """Give the arm of that name; KeyError if there is none."""
        return next(arm for arm in self.arms if arm.name == name)

    def select(self, arm: str, phase: PhaseName) -> tuple[TrialRow, ...]:
        """Give the trials of one arm and phase by number.

        Of final trials at the same point only those with the most replicas: a study file that
        asked for more had the point trained anew with all of them.
        """
        rows = tuple(row for row in self.rows if row.arm == arm and row.phase == phase)
        if phase == "search":
            return rows
        most = [
            max(
                (len(o.seeds) for o in rows if o.params == row.params and o.is_finished), default=0
            )
            for row in rows
        ]
        return tuple(row for row, n in zip(rows, most, strict=True) if len(row.seeds) >= n)

    def chosen(self, arm: str) -> TrialRow | None:
        """Give the completed final trial of the arm's chosen configuration, or None."""
        best = self.arm(arm).best_params
        for row in self.select(arm, "final"):
            if row.state == "COMPLETE" and best is not None and dict(row.params) == dict(best):
                return row
        return None
