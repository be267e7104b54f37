"""The schedule of faults, which follows from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
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

# Seconds that the study is left alone after a fault, at most. A driver or a head that starts
# again trains after 15 to 25 s on two cores, a trial's process after 5.
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
# Relative frequency once each kind has occurred: cheap to survive is more frequent than dear.
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
# Shortest and longest outage; the other kinds have none.
_OUTAGE_S: Final[dict[FaultKind, tuple[float, float]]] = {
    "database": (3.0, 60.0),
    "mlflow": (2.0, 20.0),
    "node": (1.0, 15.0),
}
_FIRST_AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A planned fault: its time in seconds since the study first trained, and its outage's."""

    kind: FaultKind
    at_s: float
    length_s: float = 0.0


def schedule(seed: int, seconds: float) -> tuple[Fault, ...]:
    """Plan the faults of a run, by increasing time; equal seeds give equal plans.

    Each kind occurs once, in an order of the seed's, and then at random by weight. All ten kinds
    occur in a run of three minutes. The longest outage is a third of the run.

    Example:
        >>> faults = schedule(0, 180)
        >>> {fault.kind for fault in faults} == set(FAULT_KINDS)
        True
        >>> [(fault.kind, round(fault.at_s), round(fault.length_s)) for fault in faults[:2]]
        [('node', 2, 2), ('preempt', 12, 0)]
    """
    rng = random.Random(f"faults {seed}")
    faults: list[Fault] = []
    now = _FIRST_AFTER_S
    for kind in _order(rng):
        if now >= seconds:
            break
        faults.append(Fault(kind=kind, at_s=now, length_s=_length_s(rng, kind, seconds)))
        now += _RECOVERY_S[kind] * rng.uniform(0.6, 1.0)
    return tuple(faults)


def _order(rng: random.Random) -> Iterator[FaultKind]:
    yield from rng.sample(FAULT_KINDS, len(FAULT_KINDS))
    while True:
        yield rng.choices(FAULT_KINDS, [_WEIGHTS[kind] for kind in FAULT_KINDS])[0]


def _length_s(rng: random.Random, kind: FaultKind, seconds: float) -> float:
    if kind not in _OUTAGE_S:
        return 0.0
    shortest, longest = _OUTAGE_S[kind]
    # Short outages are as likely as long ones on a logarithmic scale.
    length_s: float = shortest * (longest / shortest) ** rng.random()
    return min(length_s, max(shortest, seconds / 3))
