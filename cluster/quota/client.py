"""A driver's client of the quota actor, and the queue as a table.

A thread of the client's own makes all calls to Ray, because one may take long, or never return
once the head is lost. Meanwhile the last reply holds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cluster.errors import ClusterError
from cluster.quota.actor import ACTOR_NAME, ACTOR_NAMESPACE, get_or_create_actor
from cluster.quota.state import VERSION
from cluster.session import ray_session

if TYPE_CHECKING:
    from ray.actor import ActorHandle

logger = logging.getLogger(__name__)

_HEARTBEAT_INTERVAL_S: Final = 1.0
_REPLY_TIMEOUT_S: Final = 5.0
# How long the end of a study waits until the queue has heard of it; it notices by itself too.
_CLOSE_TIMEOUT_S: Final = 2.0
# So long the queue may be silent before it is worth a word: another actor starts in less.
_UNAVAILABLE_AFTER_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRequest:
    """What does not change while a driver runs its study.

    Attributes:
        study: Name of the study.
        priority: Higher goes first.
        demand: What one trial reserves, by Ray's names.
        max_concurrent: Trials at a time that the study file allows, or None for any number.
    """

    study: str
    priority: int
    demand: Mapping[str, float]
    max_concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a study has and wants at the moment.

    Attributes:
        running: Trials that were handed out and have not ended.
        placed: Those of them that have a place on a node.
        wanted: Those that were handed out, and all that could begin now.
    """

    running: int = 0
    placed: int = 0
    wanted: int = 0


class QuotaClient:
    """A place in the queue of the cluster that is connected. Has mutable state: what it was told.

    Nothing of it but :meth:`close` waits for anybody.
    """

    def __init__(self, request: QuotaRequest) -> None:
        """Prepare it; nobody is asked before :meth:`start`."""
        self._request = request
        self._key = secrets.token_hex(8)
        self._load = Load()
        self._reply: Mapping[str, Any] = {}
        self._actor: ActorHandle[Any] | None = None
        self._had_actor = False
        self._error = "it has not answered yet"
        self._last_reply_s = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quota-client", daemon=True)

    def start(self, load: Load) -> None:
        """Enter the queue."""
        self._load = load
        self._last_reply_s = time.monotonic()
        self._thread.start()

    def report(self, load: Load) -> None:
        """Say what the study has and wants; the queue hears it within a second."""
        self._load = load

    def close(self) -> None:
        """Leave the queue, so that others go on at once; waits two seconds at most."""
        self._stopped.set()
        self._thread.join(_CLOSE_TIMEOUT_S)

    @property
    def granted(self) -> int:
        """Trials that the study may have at a time; 0 until the queue has answered."""
        return int(self._reply.get("granted", 0))

    @property
    def limit(self) -> int:
        """As ``granted``, with the one more that may stand ready for the next place."""
        return self.granted + bool(self._reply.get("is_next") and not self.should_yield)

    @property
    def should_yield(self) -> bool:
        """Whether a trial that ends should give up its place for others to try."""
        return bool(self._reply.get("should_yield", False))

    @property
    def ahead(self) -> tuple[str, ...]:
        """Names of the studies that go first, in their order."""
        return tuple(self._reply.get("ahead", ()))

    @property
    def position(self) -> str:
        """Where the study stands, for people: ``second of 3 studies, 2 of 4 trials``."""
        if not self._reply:
            return "not in the queue yet"
        rank, studies = self._reply["rank"], self._reply["studies"]
        noun = "study" if studies == 1 else "studies"
        wanted = max(self._load.wanted, self.granted)
        return f"{ordinal(rank)} of {studies} {noun}, {self.granted} of {wanted} trials"

    @property
    def error(self) -> str | None:
        """Why the queue has not answered for a while, or None if it has."""
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
        # What Ray raises while an actor is lost, made again, or not to be reached.
        except (RayError, OSError, RuntimeError, ValueError) as error:
            self._note_unavailable(error)
            return
        self._had_actor = True
        self._reply, self._last_reply_s = reply, time.monotonic()
        if reply["version"] < VERSION:
            self._replace_actor(self._actor)

    def _message(self) -> dict[str, Any]:
        request, load = self._request, self._load
        return {
            "version": VERSION,
            "key": self._key,
            "study": request.study,
            "priority": request.priority,
            "arrived_s": self._reply.get("arrived_s"),
            "demand": dict(request.demand),
            "max_concurrent": request.max_concurrent,
            "running": load.running,
            "placed": load.placed,
            "wanted": load.wanted,
            "granted": self.granted,
        }

    def _note_unavailable(self, error: Exception) -> None:
        self._error = " ".join(str(error).split())[:300] or type(error).__name__
        logger.info("the queue of the cluster does not answer: %s", self._error)
        # Whoever is called by the name then may be another one.
        self._actor = None

    def _replace_actor(self, actor: ActorHandle[Any]) -> None:
        """End an actor of an older version, so that the next message starts one of this one."""
        import ray

        logger.info("the queue of the cluster has an older version and is replaced.")
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
            # The queue forgets whoever says nothing.
            logger.info("the queue of the cluster could not be told of the end: %s", error)


_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


def ordinal(rank: int) -> str:
    """Say a rank in words, as far as they are short.

    Example:
        >>> ordinal(2), ordinal(12)
        ('second', 'number 12')
    """
    return _ORDINALS[rank - 1] if rank <= len(_ORDINALS) else f"number {rank}"


_QUEUE_TIMEOUT_S: Final = 10.0


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


def read_queue(address: str) -> tuple[QueueRow, ...]:
    """Give the queue of a running Ray; empty if no study has come to it yet.

    Raises:
        ClusterError: If no Ray answers at the address, or its queue does not.
    """
    with ray_session(address):
        return read_connected_queue(address)


def read_connected_queue(address: str) -> tuple[QueueRow, ...]:
    """As :func:`read_queue`, of the Ray that is connected; ``address`` names it in messages."""
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
            f"the queue of the Ray at {address} must answer within {_QUEUE_TIMEOUT_S:.0f} s, but does not "
            f"({' '.join(str(error).split())[:300]}); look again in a moment."
        ) from None
    return tuple(parse_row(row) for row in rows)


def parse_row(row: dict[str, Any]) -> QueueRow:
    """Read a row of the queue's answer, in which later versions may say more."""
    max_concurrent = row["max_concurrent"]
    return QueueRow(
        study=row["study"],
        priority=row["priority"],
        since_s=row["arrived_s"],
        running=row["running"],
        wanted=row["wanted"] if max_concurrent is None else min(row["wanted"], max_concurrent),
        granted=row["granted"],
    )
