"""What is asked of a measurement of training steps, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from trainables.benchmark.machine import Machine
from trainables.benchmark.pairing import LEAST_ROUNDS, Spread
from trainables.checks import require

Clock: TypeAlias = Literal["cpu", "wall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What is measured.

    Attributes:
        families: Names of model families.
        batch_sizes: Samples of a step.
        ways: Names of methods, or of Challenger with another library's attribution.
        rounds: How often each is measured.
        device: Where.
    """

    families: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    ways: tuple[str, ...]
    rounds: int = LEAST_ROUNDS
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        """Check the ranges."""
        for size in self.batch_sizes:
            require(size >= 4, "batch_size", "must be at least 4, of which 2 are challenged", size)
        require(self.rounds >= 1, "rounds", "must be at least 1", self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One way to take a step, on one family at one batch size.

    Attributes:
        family: Name of the model family.
        batch_size: Samples of the step.
        way: Name of the method, and of the library if it is not our own attribution.
        ratio: Time as a multiple of the plain step's, round by round.
        limit: The same if multiplying in linear layers were all that takes time.
        above_limit: The ratio's median as a multiple of the limit.
    """

    family: str
    batch_size: int
    way: str
    ratio: Spread
    limit: float
    above_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What was not measured.

    Attributes:
        family: Name of the model family.
        way: Name of the method.
        reason: Why not.
    """

    family: str
    way: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What was measured, where, and what was not.

    Attributes:
        machine: Hardware and versions.
        clock: ``wall``; or ``cpu`` where one thread of the processor trains, whose own time says
            the same and does not count what other programs take meanwhile.
        rows: What was measured.
        left_out: What was not, and why.
    """

    machine: Machine
    clock: Clock
    rows: tuple[StepRow, ...]
    left_out: tuple[LeftOut, ...]
