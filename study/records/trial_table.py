"""The trials of a study as plain records, the input of every analysis, figure and report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from search_spaces import Condition, Design, Dimension

ParamValue: TypeAlias = int | float | str | bool
PhaseName: TypeAlias = Literal["search", "confirm", "final"]
PHASES: tuple[PhaseName, ...] = ("search", "confirm", "final")
TrialState: TypeAlias = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """One evaluation of a trial.

    Attributes:
        epoch: Epochs trained so far; 0 is the freshly initialized model, which has filter
            metrics only.
        time_ms: When the driver received it, in milliseconds since 1970.
        metrics: Metric key to one value per replica, in the order of ``TrialRow.seeds``.
        usage: Resources that all replicas used since the report before: ``trained_s``, ``cpu_s``,
            on a GPU ``gpu_s`` (seconds times the trial's share of it), and levels under the names
            of MLflow's system metrics without ``system/``; see
            :class:`trainables.runtime.resource_monitor.ResourceMonitor`. Use after the last
            report of a lost process or a failed trial is not in it.
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
        folder: The trial's folder, relative to the study's.
        started_ms: When the trial was created, in milliseconds since 1970.
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

    def used(self, resource: str) -> float:
        """Sum up a resource over all reports, in seconds: ``trained_s``, ``cpu_s``, ``gpu_s``."""
        return math.fsum(report.usage.get(resource, 0.0) for report in self.reports)

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.state != "RUNNING"

    def last(self, metric: str) -> tuple[float, ...] | None:
        """Return a metric's value per replica at the last evaluation that has it, or None."""
        for report in reversed(self.reports):
            if metric in report.metrics:
                return report.metrics[metric]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm of a study: dataset × model × method.

    Attributes:
        name: Name of the arm, unique in the study.
        dataset: Name and important settings, for display: ``digits (3 per class)``.
        model: For display: ``vgg11, width 0.25``.
        method: Name of the method: ``base``, ``random``, ``challenger``, …
        n_classes: Number of classes C of the dataset.
        n_features: Number of input features D of a sample.
        epochs: Full budget of a trial, in epochs.
        dimensions: Name to dimension of the search space.
        sweeps: Dimension to its values in the study file's ``sensitivity``.
        best_params: The chosen configuration, or None while the search is unfinished. Empty
            for a method without dimensions; of an arm that takes another one's choice, what it
            takes.
        group: Name of the arm over several datasets that it is a member of, and with whose other
            members it shares its search and its choice; None for an arm of its own.
        transfer: Whether configurations chosen by other arms of its method are tried on it.
        refusals: Arms whose chosen configuration is illegal here, and why.
        domain: Kind of data: ``image``, ``text`` or ``series``.
        is_multi_label: Whether a sample may have several classes, or none.
        draws_subset: Whether every replica trains on its own draw of the training samples.
        wider: Numerical dimension to the next legal ends beyond its range, low and high; None
            where the range ends at what is legal.
        sampler: Sampler (``tpe``, ``random``) or design (``sobol``, ``saltelli``) of its search.
        design: The design, or None with a sampler. Search trial i is its point i; of Saltelli's,
            trials i with the same ``i // design.block_size(len(dimensions))`` are one block, in
            SALib's order.
        conditions: For some dimensions, the value of another one without which they have none.
        like: Name of the arm whose choice it takes in place of a search, or None.
        passes_like: Name of the arm whose passes through the model it has, or None.
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
    draws_subset: bool = False
    wider: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    sampler: str = "tpe"
    design: Design | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    like: str | None = None
    passes_like: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrials:
    """Trials of one arm and phase, of which some have not ended.

    Attributes:
        arm: Name of the arm.
        phase: The phase.
        ended: How many have ended.
        total: How many there will be; of final trials as expected, until their points are known.
    """

    arm: str
    phase: PhaseName
    ended: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """All arms and trials of a study at one moment.

    Attributes:
        study: Name of the study.
        objective: Metric key of the objective, ``val/accuracy``.
        direction: Whether the objective is maximized or minimized.
        sampler: Names of the samplers and designs.
        arms: In the order of the study file.
        rows: By arm, phase and number.
        environment: Versions, hardware and commit: name to text.
        open: What is still to be trained, by arm and phase; empty once the study has ended.
    """

    study: str
    objective: str
    direction: Literal["maximize", "minimize"]
    sampler: str
    arms: tuple[ArmRow, ...]
    rows: tuple[TrialRow, ...]
    environment: Mapping[str, str]
    open: tuple[OpenTrials, ...] = ()

    def arm(self, name: str) -> ArmRow:
        """Return the arm of a name, which must exist."""
        return next(arm for arm in self.arms if arm.name == name)

    def select(self, arm: str, phase: PhaseName) -> tuple[TrialRow, ...]:
        """Return the trials of one arm and phase by number.

        Of final trials at the same point only those with the most replicas: if the study file
        asked for more later, the point was trained again with all of them.
        """
        rows = tuple(row for row in self.rows if row.arm == arm and row.phase == phase)
        if phase != "final":
            return rows
        most = [
            max(
                (len(o.seeds) for o in rows if o.params == row.params and o.is_finished), default=0
            )
            for row in rows
        ]
        return tuple(row for row, n in zip(rows, most, strict=True) if len(row.seeds) >= n)

    def best_search(self, arm: str) -> TrialRow | None:
        """Return an arm's completed search trial with the best objective, the first of equals."""
        sign = 1 if self.direction == "maximize" else -1
        rows = [
            (sign * row.value, -row.number, row)
            for row in self.select(arm, "search")
            if row.state == "COMPLETE" and row.value is not None
        ]
        return max(rows, default=(0.0, 0, None))[2]

    def chosen(self, arm: str) -> TrialRow | None:
        """Return the completed final trial of the arm's chosen configuration, or None."""
        best = self.arm(arm).best_params
        for row in self.select(arm, "final"):
            if row.state == "COMPLETE" and best is not None and dict(row.params) == dict(best):
                return row
        return None
