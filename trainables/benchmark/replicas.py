"""Replicas of a trial trained as one computation, against one after the other.

On the ten digits per class that the paper calls tiny MNIST, from the digits that come with the
installation.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trainables.benchmark.machine import Machine, this_machine
from trainables.benchmark.pairing import LEAST_ROUNDS, Spread, in_turn, ratio, spread
from trainables.checks import require
from trainables.cohort import alone, together
from trainables.config import TrainingConfig, TrialConfig
from trainables.datasets import DataFolders, Digits
from trainables.loop import require_finite
from trainables.methods import METHODS
from trainables.models import Vgg11
from trainables.optimisers import Adam
from trainables.replicas import Replica, start_replicas
from trainables.together import STEPS, obstacle, timed_steps

# The weights hardly move, so that the last round computes with the numbers of the first.
_LEARNING_RATE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasOptions:
    """What is measured.

    Attributes:
        methods: Names of methods.
        replicas: Numbers of replicas.
        width: Factor on the channels of VGG11.
        batch_size: Samples of a step, of each replica.
        rounds: How often each way is measured.
        device: Where.
    """

    methods: tuple[str, ...]
    replicas: tuple[int, ...]
    width: float = 1.0
    batch_size: int = 30
    rounds: int = LEAST_ROUNDS
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        """Check the ranges."""
        for count in self.replicas:
            require(count >= 2, "replicas", "must be at least 2", count)
        require(self.rounds >= 1, "rounds", "must be at least 1", self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasRow:
    """One method with a number of replicas.

    Attributes:
        method: Name of the method.
        replicas: Number of replicas.
        gain: Trials per hour as one computation, as a multiple of one replica after the other.
        step_ms: Milliseconds that a step of all replicas takes as one computation.
    """

    method: str
    replicas: int
    gain: Spread
    step_ms: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasReport:
    """What was measured, on what and where."""

    machine: Machine
    width: float
    batch_size: int
    rows: tuple[ReplicasRow, ...]


def measure_replicas(
    options: ReplicasOptions, say: Callable[[str], None] = lambda _: None
) -> ReplicasReport:
    """Measure each method with each number of replicas.

    Args:
        options: What is measured.
        say: Told what is going on.

    Raises:
        ConfigError: If the replicas of a method cannot be trained as one computation.
        NonFiniteError: If a loss was NaN or infinite, whose times would say little.
    """
    with tempfile.TemporaryDirectory() as cache:
        folders = DataFolders(root=None, cache=Path(cache))
        rows = tuple(_measure(options, folders, say))
    return ReplicasReport(
        machine=this_machine(options.device),
        width=options.width,
        batch_size=options.batch_size,
        rows=rows,
    )


def _measure(
    options: ReplicasOptions, folders: DataFolders, say: Callable[[str], None]
) -> Iterator[ReplicasRow]:
    for method in options.methods:
        for count in options.replicas:
            say(f"{method}, {count} replicas in {options.rounds} rounds")
            config = _config(options, method, count)
            yield _row(config, start_replicas(config, folders, options.device), options.rounds)


def _config(options: ReplicasOptions, method: str, count: int) -> TrialConfig:
    return TrialConfig(
        dataset=Digits(train_per_class=10, subset="per_replica"),
        model=Vgg11(width=options.width),
        method=METHODS[method](),
        training=TrainingConfig(batch_size=options.batch_size, optimiser=Adam(lr=_LEARNING_RATE)),
        seeds=tuple(range(count)),
    )


def _row(config: TrialConfig, replicas: Sequence[Replica], rounds: int) -> ReplicasRow:
    data, states = [each.data for each in replicas], [each.state for each in replicas]
    reason = obstacle(config, states[0].model)
    require(reason is None, "method", f"must leave replicas joinable, but {reason}", config.method)
    copies = copy.deepcopy(states)
    at_once = (together(config, data, states),)
    by_turns = tuple(alone(d, s) for d, s in zip(data, copies, strict=True))
    run = timed_steps(config, at_once)
    times = in_turn({"at once": run, "by turns": timed_steps(config, by_turns)}, rounds)
    for state in (*states, *copies):
        require_finite(config, state)
    return ReplicasRow(
        method=config.method.name,
        replicas=len(states),
        gain=ratio(times["by turns"], to=times["at once"]),
        step_ms=spread(tuple(1e3 * seconds / STEPS for seconds in times["at once"])),
    )
