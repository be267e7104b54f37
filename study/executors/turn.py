"""How many trials a study may begin while it shares a cluster with others.

The queue says it through a seat (:mod:`cluster.queue`); this stands between the seat and Tune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from cluster.queue import Bid, Load, Seat
from study.conductor import Conductor
from study.executors.demand import demand_of
from study.executors.places import own_places
from study.executors.surroundings import Surroundings

# The queue is told once a second; Tune asks ten times as often.
_PAUSE_S: Final = 0.5


class Turn:
    """Keeps the queue informed, and the user. Called from Tune's thread; waits for nobody.

    Has mutable state: which trials have a place, and whether the user knows that they wait.
    """

    def __init__(
        self,
        conductor: Conductor,
        seat: Seat | None,
        say: Callable[[str], None],
        places: int | None = None,
    ) -> None:
        """Serve one run of Tune.

        Args:
            conductor: Whose trials.
            seat: Its seat in the queue; None if nobody else is on the cluster.
            say: Told what people should know.
            places: Trials at a time that fit on a cluster of its own; None if that may grow.
        """
        self._conductor = conductor
        self._seat = seat
        self._say = say
        self._places = places
        self._placed: set[str] = set()
        self._told_s = 0.0
        self._is_waiting = False
        self._said_trouble = False

    @property
    def is_shared(self) -> bool:
        """Whether there is a queue at all."""
        return self._seat is not None

    @property
    def limit(self) -> int | None:
        """Trials at a time, with the one that may stand ready; None for any number.

        On a Ray of its own a study has none stand ready: a trial is asked for when its place is
        free, from all results until then, and Tune asks Ray for no place beforehand.
        """
        return self._places if self._seat is None else self._seat.limit

    def keeps_place(self, ending: int = 0) -> bool:
        """Tell whether a place that has become free is the study's own, for its next trial.

        Args:
            ending: Trials that are about to end.
        """
        if self._seat is None:
            return True
        return self._conductor.n_training - ending < self._seat.limit and not self._seat.yields

    def note_placed(self, trial: str) -> None:
        """Take note that a trial has a place."""
        self._placed.add(trial)

    def note_gone(self, trial: str) -> None:
        """Take note that a trial has its place no longer."""
        self._placed.discard(trial)

    @property
    def load(self) -> Load:
        """What the study has and wants now."""
        begun = self._conductor.n_training
        wanted = begun + self._conductor.n_open
        return Load(begun=begun, placed=min(len(self._placed), begun), wanted=wanted)

    def look(self) -> None:
        """Tell the queue how the study stands, and the user what it says, if it is time."""
        if self._seat is None or time.monotonic() - self._told_s < _PAUSE_S:
            return
        self._told_s = time.monotonic()
        load = self.load
        self._seat.tell(load)
        self._say_waiting(self._seat, load)
        self._say_trouble(self._seat)

    def _say_waiting(self, seat: Seat, load: Load) -> None:
        has_none = load.begun == 0 and load.wanted > 0 and not seat.granted
        # A new queue may not know yet who goes first; whoever waits, waits on.
        waits = has_none and (self._is_waiting or bool(seat.before))
        if waits == self._is_waiting:
            return
        self._is_waiting = waits
        if waits:
            names = ", ".join(dict.fromkeys(seat.before))
            self._say(f"waits for its turn on the cluster ({seat.place}), after {names}.")
        else:
            self._say(f"goes on: {seat.place} on the cluster.")

    def _say_trouble(self, seat: Seat) -> None:
        trouble = seat.trouble
        if trouble is not None and not self._said_trouble:
            kept = f"goes on with {seat.granted} trials at a time" if seat.granted else "waits"
            self._say(f"the cluster's queue does not answer ({trouble}); the study {kept}.")
        elif trouble is None and self._said_trouble:
            self._say("the cluster's queue answers again.")
        self._said_trouble = trouble is not None


@contextmanager
def turn_of(conductor: Conductor, surroundings: Surroundings) -> Iterator[Turn]:
    """Stand in the queue of the Ray that is connected, unless it is the study's own."""
    if surroundings.address is None:
        places = own_places(demand_of(surroundings.spec.resources))
        yield Turn(conductor, None, surroundings.say, places)
        return
    resources = surroundings.spec.resources
    seat = Seat(
        Bid(
            study=surroundings.spec.name,
            priority=resources.priority,
            demand=demand_of(resources),
            at_most=resources.max_concurrent,
        )
    )
    turn = Turn(conductor, seat, surroundings.say)
    seat.take(turn.load)
    try:
        yield turn
    finally:
        seat.leave()
