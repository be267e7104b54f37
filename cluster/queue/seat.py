"""A driver's seat in the queue: says once a second what its study wants, and keeps the answer.

All calls of Ray's are made in a thread of the seat's own, because one may take long, or never
return once the head is gone. Meanwhile the last answer holds: whoever asks gets it at once.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cluster.queue.desk import open_desk
from cluster.queue.register import VERSION

if TYPE_CHECKING:
    from ray.actor import ActorHandle

logger = logging.getLogger(__name__)

_BEAT_S: Final = 1.0
_ANSWER_S: Final = 5.0
# How long the end of a study waits until the queue has heard of it; it notices by itself too.
_LEAVE_S: Final = 2.0
# So long the queue may be silent before it is worth a word: another actor starts in less.
_PATIENCE_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """What does not change while a driver runs its study.

    Attributes:
        study: Name of the study.
        priority: Higher goes first.
        demand: What one trial reserves, by Ray's names.
        at_most: Trials at a time that the study file allows, or None for any number.
    """

    study: str
    priority: int
    demand: Mapping[str, float]
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a study has and wants at the moment.

    Attributes:
        begun: Trials that were handed out and have not ended.
        placed: Those of them that have a place on a node.
        wanted: Those that were handed out, and all that could begin now.
    """

    begun: int = 0
    placed: int = 0
    wanted: int = 0


class Seat:
    """A place in the queue of the cluster that is connected. Has mutable state: what it was told.

    Nothing of it but :meth:`leave` waits for anybody.
    """

    def __init__(self, bid: Bid) -> None:
        """Prepare it; nobody is asked before :meth:`take`."""
        self._bid = bid
        self._key = secrets.token_hex(8)
        self._load = Load()
        self._answer: Mapping[str, Any] = {}
        self._desk: ActorHandle[Any] | None = None
        self._had_desk = False
        self._error = "it has not answered yet"
        self._silent_since_s = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="queue-seat", daemon=True)

    def take(self, load: Load) -> None:
        """Enter the queue."""
        self._load = load
        self._silent_since_s = time.monotonic()
        self._thread.start()

    def tell(self, load: Load) -> None:
        """Say what the study has and wants; the queue hears it within a second."""
        self._load = load

    def leave(self) -> None:
        """Leave the queue, so that others go on at once; waits two seconds at most."""
        self._is_over.set()
        self._thread.join(_LEAVE_S)

    @property
    def granted(self) -> int:
        """Trials that the study may have at a time; 0 until the queue has answered."""
        return int(self._answer.get("granted", 0))

    @property
    def limit(self) -> int:
        """As ``granted``, with the one more that may stand ready for the next place."""
        return self.granted + bool(self._answer.get("is_next") and not self.yields)

    @property
    def yields(self) -> bool:
        """Whether a trial that ends should give up its place for others to try."""
        return bool(self._answer.get("yields", False))

    @property
    def before(self) -> tuple[str, ...]:
        """Names of the studies that go first, in their order."""
        return tuple(self._answer.get("before", ()))

    @property
    def place(self) -> str:
        """Where the study stands, for people: ``second of 3 studies, 2 of 4 trials``."""
        if not self._answer:
            return "not in the queue yet"
        rank, studies = self._answer["place"], self._answer["studies"]
        noun = "study" if studies == 1 else "studies"
        wanted = max(self._load.wanted, self.granted)
        return f"{ordinal(rank)} of {studies} {noun}, {self.granted} of {wanted} trials"

    @property
    def trouble(self) -> str | None:
        """Why the queue has not answered for a while, or None if it has."""
        is_late = time.monotonic() - self._silent_since_s > _PATIENCE_S
        return self._error if is_late else None

    def _work(self) -> None:
        while not self._is_over.is_set():
            self._beat()
            self._is_over.wait(_BEAT_S)
        self._say_goodbye()

    def _beat(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            if self._desk is None:
                self._desk = open_desk(is_learning=self._had_desk)
            answer: Any = ray.get(self._desk.hear.remote(self._message()), timeout=_ANSWER_S)
        # What Ray raises while an actor is lost, made again, or not to be reached.
        except (RayError, OSError, RuntimeError, ValueError) as error:
            self._note_silence(error)
            return
        self._had_desk = True
        self._answer, self._silent_since_s = answer, time.monotonic()
        if answer["version"] < VERSION:
            self._replace_desk(self._desk)

    def _message(self) -> dict[str, Any]:
        bid, load = self._bid, self._load
        return {
            "version": VERSION,
            "key": self._key,
            "study": bid.study,
            "priority": bid.priority,
            "since": self._answer.get("since"),
            "demand": dict(bid.demand),
            "at_most": bid.at_most,
            "begun": load.begun,
            "placed": load.placed,
            "wanted": load.wanted,
            "granted": self.granted,
        }

    def _note_silence(self, error: Exception) -> None:
        self._error = " ".join(str(error).split())[:300] or type(error).__name__
        logger.info("the queue of the cluster does not answer: %s", self._error)
        # Whoever is called by the name then may be another one.
        self._desk = None

    def _replace_desk(self, desk: ActorHandle[Any]) -> None:
        """End an actor of an older version, so that the next message starts one of this one."""
        import ray

        logger.info("the queue of the cluster is of an older version and is replaced.")
        ray.kill(desk)
        self._desk = None

    def _say_goodbye(self) -> None:
        import ray
        from ray.exceptions import RayError

        if self._desk is None:
            return
        try:
            ray.get(self._desk.leave.remote(self._key), timeout=_LEAVE_S)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            # The queue forgets whoever says nothing.
            logger.info("the queue of the cluster could not be told of the end: %s", error)


_RANKS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


def ordinal(rank: int) -> str:
    """Say a rank in words, as far as they are short.

    Example:
        >>> ordinal(2), ordinal(12)
        ('second', 'number 12')
    """
    return _RANKS[rank - 1] if rank <= len(_RANKS) else f"number {rank}"
