"""When what is struck: a schedule of blows that follows from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

FaultKind: TypeAlias = Literal[
    "checkpoint",
    "database",
    "delivery",
    "driver",
    "head",
    "mlflow",
    "node",
    "preempt",
    "twice",
    "worker",
]
FAULT_KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)

# How long the study is left alone after a blow, at most, in seconds. A driver or a head that
# starts again trains after 15 to 25 s on two cores, a trial's process after 5.
_RECOVERY_S: Final[dict[FaultKind, float]] = {
    "checkpoint": 10.0,
    "database": 14.0,
    "delivery": 5.0,
    "driver": 32.0,
    "head": 40.0,
    "mlflow": 6.0,
    "node": 12.0,
    "preempt": 32.0,
    "twice": 8.0,
    "worker": 8.0,
}
# How often, once each kind has occurred: what is cheap to survive more often than what is dear.
_WEIGHTS: Final[dict[FaultKind, int]] = {
    "checkpoint": 4,
    "database": 3,
    "delivery": 3,
    "driver": 3,
    "head": 1,
    "mlflow": 3,
    "node": 2,
    "preempt": 2,
    "twice": 1,
    "worker": 8,
}
# How long the thing that was struck stays away; the other kinds have no such time.
_OUTAGE_S: Final[dict[FaultKind, tuple[float, float]]] = {
    "database": (3.0, 60.0),
    "mlflow": (2.0, 20.0),
    "node": (1.0, 15.0),
}
_FIRST_AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is struck.

    Attributes:
        kind: What.
        at_s: When, in seconds since the study first trained.
        length_s: How long it stays away, in seconds; 0 if that is not for us to say.
    """

    kind: FaultKind
    at_s: float
    length_s: float = 0.0


def schedule(
    seed: int, seconds: float, kinds: Collection[FaultKind] = FAULT_KINDS
) -> tuple[Fault, ...]:
    """Plan the blows of a run.

    At first each kind comes once, in an order of the seed's, and then at random by weight. All
    ten kinds come in a run of three minutes.

    Args:
        seed: Equal seeds give equal plans.
        seconds: How long blows are struck.
        kinds: Which.

    Returns:
        Blows by increasing time. The longest absence is a third of the run, so that it still
        gets on.

    Example:
        >>> [fault.kind for fault in schedule(0, 30, ("worker", "driver"))]
        ['driver', 'worker']
    """
    rng = random.Random(f"chaos {seed}")
    faults: list[Fault] = []
    now = _FIRST_AFTER_S
    for kind in _order(rng, sorted(kinds)):
        if now >= seconds:
            break
        faults.append(Fault(kind=kind, at_s=now, length_s=_length_s(rng, kind, seconds)))
        now += _RECOVERY_S[kind] * rng.uniform(0.6, 1.0)
    return tuple(faults)


def _order(rng: random.Random, kinds: list[FaultKind]) -> Iterator[FaultKind]:
    yield from rng.sample(kinds, len(kinds))
    while kinds:
        yield rng.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]


def _length_s(rng: random.Random, kind: FaultKind, seconds: float) -> float:
    if kind not in _OUTAGE_S:
        return 0.0
    shortest, longest = _OUTAGE_S[kind]
    # Short absences are as likely as long ones on a logarithmic scale.
    length_s: float = shortest * (longest / shortest) ** rng.random()
    return min(length_s, max(shortest, seconds / 3))
