"""Strikes the planned blows while a study runs, keeps it going, and waits for its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from study.chaos.arena import Arena
from study.chaos.blows import STRIKES, Effect
from study.chaos.chronicle import Chronicle, DriverEnd, Struck
from study.chaos.plan import Blow, Kind
from study.chaos.sizing import first_trials, more_trials
from study.errors import StudyError
from study.tracking.outbox import Outbox

# These strike what trains, or what has nothing to lose before it does.
_NEED_TRAINING: Final[frozenset[Kind]] = frozenset(
    {"checkpoint", "driver", "head", "preempt", "twice", "worker"}
)
# One that was killed a moment ago is not there yet.
_NEED_PROCESS: Final[frozenset[Kind]] = frozenset({"checkpoint", "worker"})
# A driver that starts trains after 20 s on two idle cores; others may want them too.
_TRAINING_PATIENCE_S: Final = 300.0
# How long the study may get on with nothing, and how much later than planned blows may come.
_PATIENCE_S: Final = 300.0
# How long the study may take to end once the blows are over, however busy the machine is.
_LONGEST_END_S: Final = 3600.0
_MOST_UNEXPLAINED: Final = 3
_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Away:
    """Something that is brought back at a time."""

    kind: Kind
    until_s: float
    undo: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Storm:
    """One run of blows. Has mutable state: the time, what is away, and what happened.

    Attributes:
        arena: The study and what it depends on.
        blows: What is planned.
        seconds: How long blows are planned for.
        tell: Told each event, in a line.
    """

    arena: Arena
    blows: Sequence[Blow]
    seconds: float
    tell: Callable[[str], None]
    _rng: random.Random = field(default_factory=lambda: random.Random("strikes"))
    _began: float = 0.0
    _trials: int = 0
    _n_before: int = 0
    _is_training: bool = False
    _cause: str | None = None
    _was_away: bool = False
    _n_redelivered: int = 0
    _away: list[_Away] = field(default_factory=list)
    _struck: list[Struck] = field(default_factory=list)
    _ends: list[DriverEnd] = field(default_factory=list)

    def run(self) -> Chronicle:
        """Run the study under blows and then to its end; bounded in time."""
        self._trials = first_trials(self.seconds)
        self._began = time.monotonic()
        self._start()
        if not self._wait_for_training():
            raise StudyError(
                f"the study must train before it is struck, but does not; its driver said: "
                f"{self.arena.driver.said()}; look at {self.arena.driver.log}."
            )
        self._began = time.monotonic()
        self._strike_all()
        is_finished = self._finish()
        return Chronicle(
            struck=tuple(self._struck),
            ends=tuple(self._ends),
            n_starts=self.arena.driver.n_starts,
            n_planned=len(self.blows),
            seconds=self._now(),
            is_finished=is_finished,
        )

    def _strike_all(self) -> None:
        late_s = 0.0
        for blow in self.blows:
            while self._now() < blow.at_s + late_s:
                self._tend()
                time.sleep(_PAUSE_S)
            # What comes late, because a start took long, delays all that follows.
            self._strike(blow)
            late_s = max(late_s, self._now() - blow.at_s)
            if self._is_hopeless() or self._now() > 2 * self.seconds + _PATIENCE_S:
                return

    def _strike(self, blow: Blow) -> None:
        is_ready = blow.kind not in _NEED_TRAINING or self._wait_for_training()
        if blow.kind in _NEED_PROCESS:
            is_ready &= self._wait_for_process()
        at_s = self._now()
        if not is_ready:
            effect = Effect(note="nothing is being trained", outcome="skipped")
        elif any(away.kind == blow.kind for away in self._away):
            effect = Effect(note="it is away already", outcome="skipped")
        else:
            effect = STRIKES[blow.kind](self.arena, self._rng)
        self._note(blow, effect, at_s)
        if effect.undo is not None:
            until_s = self._now() + blow.length_s
            self._away.append(_Away(kind=blow.kind, until_s=until_s, undo=effect.undo))
            self._was_away |= blow.kind == "database"
        if effect.ends_driver:
            self._cause = blow.kind
            self._tend()

    def _note(self, blow: Blow, effect: Effect, at_s: float) -> None:
        self._struck.append(Struck(blow=blow, at_s=at_s, outcome=effect.outcome, note=effect.note))
        away = f", for {blow.length_s:.0f} s" if effect.undo is not None else ""
        word = "" if effect.outcome == "survived" else f" ({effect.outcome})"
        self._say(f"{blow.kind}{word}: {effect.note}{away}")

    def _tend(self) -> None:
        """Bring back what is due, and start the driver again if it has ended."""
        self._restore()
        code = self.arena.driver.poll()
        if code is None:
            self._see_training()
            return
        if self._is_hopeless():
            return
        if code == 0:
            self._record(code, self._cause or "finished")
            # All trials have ended before the blows have: there shall be more.
            self._trials = more_trials(self._trials, self._now(), self.seconds)
            self._say(f"the study is finished; going on with {self._trials} trials per search")
        else:
            self._record(code, self._cause or self._excuse(code))
        if not self._is_hopeless():
            self._start()

    def _record(self, code: int, cause: str | None) -> None:
        said = self.arena.driver.said()
        self._ends.append(DriverEnd(at_s=self._now(), code=code, cause=cause, said=said))
        if cause is None:
            self._say(f"the driver ended unasked with exit code {code}: {said}")

    def _excuse(self, code: int) -> str | None:
        """Name what may keep a driver from starting: it says so, and ends with 2."""
        is_start = not self._is_training
        return "database" if code == 2 and is_start and self._was_away else None

    def _start(self) -> None:
        self._cause, self._is_training = None, False
        self._was_away = any(away.kind == "database" for away in self._away)
        self._n_before = self.arena.n_reports()
        self.arena.start_study(self._trials)

    def _see_training(self) -> None:
        if not self._is_training:
            self._is_training = self.arena.n_reports() > self._n_before

    def _wait_for_training(self) -> bool:
        return self._wait_for(lambda: self._is_training and self.arena.driver.poll() is None)

    def _wait_for_process(self) -> bool:
        return self._wait_for(lambda: bool(self.arena.cluster.trial_processes()))

    def _wait_for(self, is_true: Callable[[], bool]) -> bool:
        """Wait for something that a study which is tended comes to; False if it does not."""
        end = time.monotonic() + _TRAINING_PATIENCE_S
        while time.monotonic() < end and not self._is_hopeless():
            self._tend()
            if is_true():
                return True
            time.sleep(_PAUSE_S)
        return False

    def _restore(self) -> None:
        for away in list(self._away):
            if self._now() >= away.until_s:
                self._away.remove(away)
                away.undo()
                self._say(f"{away.kind} is back")

    def _is_hopeless(self) -> bool:
        return sum(end.cause is None for end in self._ends) >= _MOST_UNEXPLAINED

    def _finish(self) -> bool:
        """Leave the study alone until it ends; False if it does not."""
        self._say("no more blows; the study runs to its end")
        began_s = moved_s = self._now()
        stage = None
        while self._now() < began_s + _LONGEST_END_S and not self._is_hopeless():
            if (now := self._stage()) != stage:
                stage, moved_s = now, self._now()
            if self._now() > moved_s + _PATIENCE_S:
                return False
            self._restore()
            if self.arena.driver.poll() != 0:
                self._tend()
            elif not self._away and not self._must_deliver():
                self._say("the study is finished")
                return True
            time.sleep(_PAUSE_S)
        return False

    def _stage(self) -> tuple[int, int]:
        """Tell how far the study is: evaluations that are stored, and entries not delivered."""
        waiting = Outbox(path=self.arena.folder.outbox).waiting()
        return self.arena.n_reports(), waiting.entries

    def _must_deliver(self) -> bool:
        """Start the study once more if it ended while MLflow was away, as its last line says."""
        if not Outbox(path=self.arena.folder.outbox).waiting().entries or self._n_redelivered > 1:
            return False
        self._n_redelivered += 1
        self._say("MLflow has not been told everything; starting the study once more")
        self._record(0, "finished")
        self._start()
        return True

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        self.tell(f"{self._now():6.0f} s  {text}")
