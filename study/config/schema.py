"""The parts of a study file that belong to the study rather than to one trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from search_spaces import Design
from trainables.checks import require
from trainables.errors import ConfigError
from trainables.replica_mode import ReplicaMode

Direction = Literal["maximize", "minimize"]

_STEP: Final = 0.0001
_RESERVED_RESOURCES: Final = {
    "cpu": "set resources.cpus",
    "cpus": "set resources.cpus",
    "gpu": "set resources.gpus",
    "gpus": "set resources.gpus",
    "memory": "set resources.memory_gib",
    "object_store_memory": "set resources.memory_gib",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """How many seeds a configuration is trained with.

    Attributes:
        search: Replicas of a search trial, whose mean the sampler sees.
        final: Replicas of the chosen configuration, the sweeps and the controls; fresh seeds.
    """

    search: int = 3
    final: int = 10

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.search >= 1, "search", "must be at least 1", self.search)
        require(self.final >= 2, "final", "must be at least 2, for an interval", self.final)

    def of(self, phase: Literal["search", "final"]) -> int:
        """Give the number for a phase's trials."""
        return self.final if phase == "final" else self.search


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How an arm's space is searched.

    Attributes:
        sampler: ``tpe`` (tree-structured Parzen estimator) or ``random``.
        design: ``sobol`` or ``saltelli``, whose points are then the trials instead of what a
            sampler proposes; None for the sampler. ``{name: saltelli, second_order: true}`` for
            interactions of pairs.
        trials: Trials per arm.
        startup_trials: Trials that TPE draws at random before it models anything.
        scheduler: ``none``, or ``asha``, which stops trials that fall behind.
        space: Dimension to ``{low, high, log}``, to a list of choices, or to one value.
    """

    sampler: Literal["tpe", "random"] = "tpe"
    design: Design | None = None
    trials: int = 60
    startup_trials: int = 10
    scheduler: Literal["none", "asha"] = "none"
    space: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.trials >= 1, "trials", "must be at least 1", self.trials)
        require(
            self.startup_trials >= 1, "startup_trials", "must be at least 1", self.startup_trials
        )
        if self.design is not None and self.scheduler != "none":
            raise ConfigError(
                f"scheduler must be 'none' with design {self.design.name!r}, got "
                f"{self.scheduler!r}: a design needs the full budget of every trial; write "
                "'scheduler: none' beside it."
            )

    @property
    def sampler_name(self) -> str:
        """Who proposes the trials: the name of the design, or of the sampler."""
        return self.sampler if self.design is None else self.design.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """A sweep of one dimension around the chosen configuration.

    Attributes:
        over: Name of the dimension.
        values: Values to take it through; None for every class rank (``top_k``) or seven evenly
            spaced values of the searched range.
    """

    over: str
    values: tuple[int | float | str | bool, ...] | None = None

    def __post_init__(self) -> None:
        """Check that there is something to sweep."""
        if self.values is not None:
            differ = len(set(self.values)) == len(self.values) >= 2
            require(differ, "values", "must be two or more different values", list(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What trials are compared by.

    Attributes:
        metric: A validation metric, ``val/accuracy``; the test split is never used.
        direction: Left out, it follows from the metric.
    """

    metric: str = "val/accuracy"
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one trial occupies.

    Attributes:
        cpus: CPU cores per trial.
        gpus: GPUs per trial: 0, 1, or 1/n so that n trials share one.
        memory_gib: Memory that a trial reserves, in GiB, so that no more trials share a node than
            it has memory for; None to reserve none. Ray keeps the books and holds no trial to it.
        custom: What else a trial reserves, by the names that the nodes were started with, as in
            ``{rtx4090: 1}``.
        priority: Among studies that share a cluster, a higher one goes first.
        max_concurrent: Trials at a time; None for as many as fit.
        max_failures: How often a trial may lose its process before it fails.
        timeout_s: How long a trial may train in all, in seconds; one that takes longer, or never
            ends, fails. None for as long as it takes.
        replica_mode: When a trial trains its replicas as one computation, with the same results
            but for float rounding: ``auto`` on a GPU, where some steps show that it is faster;
            ``always``, on a CPU too, where it can (no dropout, no attribution of Captum's); or
            ``never``.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gib: float | None = None
    custom: Mapping[str, float] = field(default_factory=dict)
    priority: int = 0
    max_concurrent: int | None = None
    max_failures: int = 3
    timeout_s: float | None = None
    replica_mode: ReplicaMode = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.cpus >= 1, "cpus", "must be at least 1", self.cpus)
        rule = "must be 0, 1 or a fraction 1/n such as 0.5, 0.333 or 0.25"
        require(_is_gpu_fraction(self.gpus), "gpus", rule, self.gpus)
        memory = self.memory_gib
        require(memory is None or memory > 0, "memory_gib", "must be above 0", memory)
        for name, amount in self.custom.items():
            _check_custom(name, amount)
        limit = self.max_concurrent
        require(limit is None or limit >= 1, "max_concurrent", "must be at least 1", limit)
        require(self.max_failures >= 0, "max_failures", "must be 0 or more", self.max_failures)
        limit_s = self.timeout_s
        require(limit_s is None or limit_s > 0, "timeout_s", "must be above 0", limit_s)


def _check_custom(name: str, amount: float) -> None:
    own = _RESERVED_RESOURCES.get(name.lower())
    if own is not None:
        raise ConfigError(
            f"custom.{name} must be a resource of your own, but Ray counts {name} itself; "
            f"{own} instead."
        )
    # Ray counts in these steps, and takes less than one for an error.
    require(amount >= _STEP, f"custom.{name}", f"must be {_STEP:g} or more", amount)


def _is_gpu_fraction(gpus: float) -> bool:
    """Tell whether n trials fill a GPU, up to the digits that people write: 0.333 is a third."""
    if not 0 < gpus <= 1:
        return gpus == 0
    return -1e-6 < 1 / gpus - round(1 / gpus) < 0.02
