"""What the queue of a cluster looks like, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cluster.errors import ClusterError
from cluster.queue.desk import NAME, NAMESPACE
from cluster.session import ray_session

_ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A study in the queue; the rows stand in its order.

    Attributes:
        study: Its name.
        priority: Higher goes first.
        since_s: When it arrived, in seconds since 1970, by the head's clock.
        running: Trials that were handed out and have not ended, with the one that stands ready.
        wanted: Trials that it would have if there were room for all.
        granted: Trials that it may have at a time.
    """

    study: str
    priority: int
    since_s: float
    running: int
    wanted: int
    granted: int


def look(address: str) -> tuple[QueueRow, ...]:
    """Give the queue of a running Ray; empty if no study has come to it yet.

    Raises:
        ClusterError: If no Ray answers at the address, or its queue does not.
    """
    with ray_session(address):
        return look_here(address)


def look_here(where: str) -> tuple[QueueRow, ...]:
    """As :func:`look`, of the Ray that is connected; ``where`` names it in messages."""
    import ray
    from ray.exceptions import RayError

    try:
        desk = ray.get_actor(NAME, namespace=NAMESPACE)
    except ValueError:
        return ()
    try:
        rows: list[dict[str, Any]] = ray.get(desk.rows.remote(), timeout=_ANSWER_S)
    except RayError as error:
        raise ClusterError(
            f"the queue of the Ray at {where} must answer within {_ANSWER_S:.0f} s, but does not "
            f"({' '.join(str(error).split())[:300]}); look again in a moment."
        ) from None
    return tuple(row_of(row) for row in rows)


def row_of(row: dict[str, Any]) -> QueueRow:
    """Read a row of the queue's answer, in which later versions may say more."""
    at_most = row["at_most"]
    return QueueRow(
        study=row["study"],
        priority=row["priority"],
        since_s=row["since"],
        running=row["begun"],
        wanted=row["wanted"] if at_most is None else min(row["wanted"], at_most),
        granted=row["granted"],
    )
