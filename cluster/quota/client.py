"""A driver's client of the quota actor, and the queue as a table.

A thread of its own makes all calls to Ray, because one may take long, or never return once the
head is lost. Meanwhile the last reply holds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from cluster.errors import ClusterError
from cluster.plain_errors import plain_reason
from cluster.quota.actor import ACTOR_NAME, ACTOR_NAMESPACE, get_or_create_actor
from cluster.quota.state import VERSION
from cluster.session import ray_session

if TYPE_CHECKING:
    from ray.actor import ActorHandle

logger = logging.getLogger(__name__)

_HEARTBEAT_INTERVAL_S: Final = 1.0
_REPLY_TIMEOUT_S: Final = 5.0
# How long the end of a study waits for the actor, which notices a missing heartbeat too.
_CLOSE_TIMEOUT_S: Final = 2.0
# A missing reply is reported after so long: another actor starts in less.
_UNAVAILABLE_AFTER_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRequest:
    """The constant part of a driver's request, by the fields of :class:`Request`."""

    study: str
    priority: int
    demand: Mapping[str, float]
    max_concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The momentary part of a driver's request, by the fields of :class:`Request`."""

    running: int = 0
    placed: int = 0
    wanted: int = 0


class QuotaClient:
    """A driver's entry in the queue of the connected cluster. Has mutable state: the last reply.

    Only :meth:`close` blocks.
    """

    def __init__(self, request: QuotaRequest) -> None:
        """Make a client; it sends nothing before :meth:`start`."""
        self._request = request
        self._key = secrets.token_hex(8)
        self._load = Load()
        self._reply: Mapping[str, Any] = {}
        self._actor: ActorHandle[Any] | None = None
        self._had_actor = False
        self._error = "no reply yet"
        self._last_reply_s = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quota-client", daemon=True)

    def start(self, load: Load) -> None:
        """Enter the queue."""
        self._load = load
        self._last_reply_s = time.monotonic()
        self._thread.start()

    def report(self, load: Load) -> None:
        """Set the load that the next heartbeat sends, within a second."""
        self._load = load

    def close(self) -> None:
        """Leave the queue, so that others go on at once; wait two seconds at most."""
        self._stopped.set()
        self._thread.join(_CLOSE_TIMEOUT_S)

    @property
    def granted(self) -> int:
        """Concurrent trials that the study may have; 0 until the first reply."""
        return int(self._reply.get("granted", 0))

    @property
    def limit(self) -> int:
        """As ``granted``, with the one more that may be pending for the next free slot."""
        return self.granted + bool(self._reply.get("is_next") and not self.should_yield)

    @property
    def should_yield(self) -> bool:
        """Whether a trial that ends should leave its slot to other studies."""
        return bool(self._reply.get("should_yield", False))

    @property
    def ahead(self) -> tuple[str, ...]:
        """Names of the studies that go first, in their order."""
        return tuple(self._reply.get("ahead", ()))

    @property
    def position(self) -> str:
        """Position for display: ``second of 3 studies, 2 of 4 trials``."""
        if not self._reply:
            return "not in the queue yet"
        rank, studies = self._reply["rank"], self._reply["studies"]
        noun = "study" if studies == 1 else "studies"
        wanted = max(self._load.wanted, self.granted)
        return f"{ordinal(rank)} of {studies} {noun}, {self.granted} of {wanted} trials"

    @property
    def error(self) -> str | None:
        """Why the quota actor has not replied for a while, or None if it has."""
        is_unavailable = time.monotonic() - self._last_reply_s > _UNAVAILABLE_AFTER_S
        return self._error if is_unavailable else None

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._heartbeat()
            self._stopped.wait(_HEARTBEAT_INTERVAL_S)
        self._deregister()

    def _heartbeat(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            if self._actor is None:
                self._actor = get_or_create_actor(is_recovering=self._had_actor)
            reply: Any = ray.get(
                self._actor.update.remote(self._message()), timeout=_REPLY_TIMEOUT_S
            )
        # Ray raises these while an actor is lost, restarted or unreachable.
        except (RayError, OSError, RuntimeError, ValueError) as error:
            self._note_unavailable(error)
            return
        self._had_actor = True
        self._reply, self._last_reply_s = reply, time.monotonic()
        if reply["version"] < VERSION:
            self._replace_actor(self._actor)

    def _message(self) -> dict[str, Any]:
        request = self._request
        return {
            "version": VERSION,
            "key": self._key,
            "study": request.study,
            "priority": request.priority,
            "arrived_s": self._reply.get("arrived_s"),
            "demand": dict(request.demand),
            "max_concurrent": request.max_concurrent,
            "granted": self.granted,
            **asdict(self._load),
        }

    def _note_unavailable(self, error: Exception) -> None:
        self._error = plain_reason(error)
        logger.info("the quota actor of the cluster does not reply: %s", self._error)
        # Another actor may have the name by then.
        self._actor = None

    def _replace_actor(self, actor: ActorHandle[Any]) -> None:
        """Kill an actor of an older version; the next heartbeat starts one of this version."""
        import ray

        logger.info("the quota actor of the cluster has an older version and is replaced.")
        ray.kill(actor)
        self._actor = None

    def _deregister(self) -> None:
        import ray
        from ray.exceptions import RayError

        if self._actor is None:
            return
        try:
            ray.get(self._actor.remove.remote(self._key), timeout=_CLOSE_TIMEOUT_S)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            # The actor removes drivers without a heartbeat.
            logger.info("the quota actor of the cluster did not take the end: %s", error)


_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


def ordinal(rank: int) -> str:
    """Return the ordinal of a rank, in words up to ten.

    Example:
        >>> ordinal(2), ordinal(12)
        ('second', 'number 12')
    """
    return _ORDINALS[rank - 1] if rank <= len(_ORDINALS) else f"number {rank}"


_QUEUE_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A study in the queue.

    Attributes:
        since_s: Arrival, in seconds since 1970, by the head's clock.
        running: Trials that were submitted and have not ended, with the pending one.
        wanted: Trials that it would have on an unlimited cluster.
        granted: Concurrent trials that it may have.
    """

    study: str
    priority: int
    since_s: float
    running: int
    wanted: int
    granted: int


def read_queue(address: str) -> tuple[QueueRow, ...]:
    """Return the queue of a running Ray in its order; empty if it has had no study yet.

    Raises:
        ClusterError: If no Ray answers at the address, or its quota actor does not.
    """
    with ray_session(address):
        return read_connected_queue(address)


def read_connected_queue(address: str) -> tuple[QueueRow, ...]:
    """Return the queue of the connected Ray; ``address`` names it in messages."""
    import ray
    from ray.exceptions import RayError

    try:
        actor = ray.get_actor(ACTOR_NAME, namespace=ACTOR_NAMESPACE)
    except ValueError:
        return ()
    try:
        rows: list[dict[str, Any]] = ray.get(actor.rows.remote(), timeout=_QUEUE_TIMEOUT_S)
    except RayError as error:
        raise ClusterError(
            f"the quota actor of the Ray at {address} must reply within {_QUEUE_TIMEOUT_S:.0f} s, "
            f"but does not ({plain_reason(error)}); try again in a moment."
        ) from None
    return tuple(parse_row(row) for row in rows)


def parse_row(row: dict[str, Any]) -> QueueRow:
    """Return a row of the actor's reply, ignoring keys of later versions."""
    max_concurrent = row["max_concurrent"]
    return QueueRow(
        study=row["study"],
        priority=row["priority"],
        since_s=row["arrived_s"],
        running=row["running"],
        wanted=row["wanted"] if max_concurrent is None else min(row["wanted"], max_concurrent),
        granted=row["granted"],
    )
