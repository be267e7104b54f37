"""The parts of a study file that belong to the study rather than to one trial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from search_spaces import DESIGNS, Design
from trainables.decoding import record, shown
from trainables.errors import ConfigError
from trainables.fields import Count, Kinds, OneOf, ReplicaMode

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(where: str, name: object) -> None:
    """Refuse a name that is unfit for a folder, a URL or a database.

    Raises:
        ConfigError: If it is unfit; the message begins with its dotted path.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigError(
            f"{where} must be 1 to 64 lower-case letters, digits, '.', '_' or '-', and begin with "
            f"a letter or digit, got {shown(name)}."
        )


def _fit(name: str) -> str:
    check_name("", name)
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_fit)]

_STEP: Final = 0.0001
_RESERVED_RESOURCES: Final = {
    "cpu": "set resources.cpus",
    "cpus": "set resources.cpus",
    "gpu": "set resources.gpus",
    "gpus": "set resources.gpus",
    "memory": "set resources.memory_gib",
    "object_store_memory": "set resources.memory_gib",
}


@record
class Replicas:
    """Numbers of seeds per configuration.

    Attributes:
        search: Replicas of a search trial, whose mean the sampler sees.
        final: Replicas of the chosen configuration, the sweeps and the controls, with fresh
            seeds; at least 2, for an interval.
    """

    search: Annotated[int, Field(ge=1, le=1000)] = 3
    final: Annotated[int, Field(ge=2, le=1000)] = 10

    def of(self, phase: Literal["search", "confirm", "final"]) -> int:
        """Return the number for a phase's trials."""
        return self.final if phase == "final" else self.search


_ROUNDS: Final = 4


@record
class Confirm:
    """A second look at the best search trials, before one of them is chosen.

    They are trained on fresh seeds and compared on the validation split, in up to four rounds;
    one that is behind beyond doubt is dropped.

    Attributes:
        top: Search trials that are confirmed.
        replicas: Fresh seeds of each, at most.
    """

    top: Annotated[int, Field(ge=2, le=100)] = 5
    replicas: Annotated[int, Field(ge=2, le=1000)] = 12

    @property
    def ends(self) -> tuple[int, ...]:
        """Number of seeds that have been used at the end of each round."""
        step = max(2, -(-self.replicas // _ROUNDS))
        return (*range(step, self.replicas, step), self.replicas)

    def seeds_of(self, end: int) -> range:
        """Return which of all seeds the round has that ends at one of :attr:`ends`."""
        return range(max((one for one in self.ends if one < end), default=0), end)


@record
class SearchConfig:
    """The search of an arm's space.

    Attributes:
        sampler: ``tpe`` (tree-structured Parzen estimator) or ``random``.
        design: ``sobol`` or ``saltelli``, whose points are then the trials instead of what a
            sampler proposes; None for the sampler. ``{name: saltelli, second_order: true}`` for
            interactions of pairs.
        trials: Trials per arm.
        startup_trials: Trials that TPE draws at random before it models anything.
        confirm: Trains the best few trials again, on fresh seeds, before one is chosen; None to
            choose by the search trials alone. ``{top: 5, replicas: 12}``.
        scheduler: ``none``, or ``asha``, which stops trials that fall behind.
        reproducible: Whether a point depends on the study's seed, the trial's number n and the
            results of the trials up to n - ``max_concurrent`` alone, whichever ends first: two
            runs, on any machines and interrupted or not, then search the same points.
        max_concurrent: Most trials of this search at a time if it is reproducible; a place that
            waits for an earlier trial stays idle.
        space: Dimension to ``{low, high, log}``, to a list of choices, or to one value.
            Dimensions are the method's settings by their names, and numbers and choices of
            training and model by their paths: ``training.optimizer.lr``.
    """

    sampler: Literal["tpe", "random"] = "tpe"
    design: Annotated[Design, OneOf(DESIGNS)] | None = None
    trials: Count = 60
    startup_trials: Count = 10
    confirm: Confirm | None = None
    scheduler: Literal["none", "asha"] = "none"
    reproducible: bool = False
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = 4
    space: Annotated[Mapping[str, Any], Field(max_length=100)] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that a design gets its full budget, and that no clock decides a point."""
        if self.design is not None and self.scheduler != "none":
            raise ConfigError(
                f"scheduler must be 'none' with design {self.design.name!r}, got "
                f"{self.scheduler!r}: a design needs the full budget of every trial; write "
                "'scheduler: none' beside it."
            )
        if self.reproducible and self.scheduler != "none":
            raise ConfigError(
                f"scheduler must be 'none' in a reproducible search, got {self.scheduler!r}: "
                "which trials it stops depends on which others have reported by then; write "
                "'scheduler: none' or 'reproducible: false'."
            )

    @property
    def sampler_name(self) -> str:
        """Name of the design, or of the sampler."""
        return self.sampler if self.design is None else self.design.name


@record
class Sensitivity:
    """A sweep of one dimension around the chosen configuration.

    Attributes:
        over: Name of the dimension.
        values: Values to take it through; None for every class rank (``top_k``) or seven evenly
            spaced values of the searched range.
    """

    over: str
    values: (
        Annotated[
            tuple[
                Annotated[int | float | str | bool, Kinds("a number, a text, true or false")], ...
            ],
            Field(max_length=1000),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        """Check that there is something to sweep."""
        if self.values is not None and not len(set(self.values)) == len(self.values) >= 2:
            raise ConfigError(
                f"values must be two or more different values, got {shown(self.values)}."
            )


def _share(gpus: float) -> float:
    # n trials fill a GPU, up to the digits that people write: 0.333 is a third.
    is_share = _STEP <= gpus <= 1 and -1e-6 < 1 / gpus - round(1 / gpus) < 0.02
    if gpus and not is_share:
        raise ConfigError(
            f" must be 0, 1 or a fraction 1/n such as 0.5, 0.333 or 0.25, got {gpus}."
        )
    return gpus


@record
class Resources:
    """The resources of one trial.

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
            ``vmap``, on a CPU too, where it can (no dropout, no attribution of Captum's); or
            ``loop``, never.
        keep_models: Whose trained networks stay in the storage: those of each arm's ``chosen``
            configuration, those of ``all`` final trials, sweeps too, or ``none``. A VGG11 takes
            37 MB per replica, a quarter of its width 2.4 MB.
    """

    cpus: Annotated[int, Field(ge=1, le=1024)] = 1
    gpus: Annotated[float, AfterValidator(_share)] = 0.0
    memory_gib: Annotated[float, Field(gt=0, le=1e5)] | None = None
    # Ray counts in steps, and takes less than one for an error.
    custom: Annotated[
        Mapping[str, Annotated[float, Field(ge=_STEP, le=1e6)]], Field(max_length=100)
    ] = field(default_factory=dict)
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    max_concurrent: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_failures: Annotated[int, Field(ge=0, le=1000)] = 3
    timeout_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    replica_mode: ReplicaMode = "auto"
    keep_models: Literal["chosen", "none", "all"] = "chosen"

    def __post_init__(self) -> None:
        """Check that the custom resources are none that Ray counts itself."""
        for name in self.custom:
            own = _RESERVED_RESOURCES.get(name.lower())
            if own is not None:
                raise ConfigError(
                    f"custom.{name} must be a resource of your own, but Ray counts {name} itself; "
                    f"{own} instead."
                )
