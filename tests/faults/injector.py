"""Strikes the planned blows while a study runs, keeps it going, and waits for its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from study.records.errors import StudyError
from study.tracking.outbox import Outbox
from tests.faults.event_log import DriverExit, EventLog, InjectedFault
from tests.faults.harness import Harness, first_trials, more_trials
from tests.faults.injections import INJECTIONS, InjectionEffect
from tests.faults.schedule import Fault, FaultKind

# These strike what trains, or what has nothing to lose before it does.
_NEED_TRAINING: Final[frozenset[FaultKind]] = frozenset(
    {"checkpoint", "driver", "head", "preempt", "twice", "worker"}
)
# One that was killed a moment ago is not there yet.
_NEED_PROCESS: Final[frozenset[FaultKind]] = frozenset({"checkpoint", "worker"})
# A driver that starts trains after 20 s on two idle cores; others may want them too.
_TRAINING_TIMEOUT_S: Final = 300.0
# How long the study may get on with nothing, and how much later than planned blows may come.
_STALL_TIMEOUT_S: Final = 300.0
# How long the study may take to end once the blows are over, however busy the machine is.
_FINISH_TIMEOUT_S: Final = 3600.0
_MAX_UNEXPLAINED: Final = 3
_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outage:
    """Something that is brought back at a time."""

    kind: FaultKind
    until_s: float
    undo: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class FaultInjector:
    """One run of blows. Has mutable state: the time, what is away, and what happened.

    Attributes:
        arena: The study and what it depends on.
        blows: What is planned.
        seconds: How long blows are planned for.
        tell: Told each event, in a line.
    """

    harness: Harness
    faults: Sequence[Fault]
    seconds: float
    on_event: Callable[[str], None]
    _rng: random.Random = field(default_factory=lambda: random.Random("strikes"))
    _began: float = 0.0
    _trials: int = 0
    _n_before: int = 0
    _is_training: bool = False
    _cause: str | None = None
    _database_was_away: bool = False
    _n_resyncs: int = 0
    _outages: list[_Outage] = field(default_factory=list)
    _injected: list[InjectedFault] = field(default_factory=list)
    _ends: list[DriverExit] = field(default_factory=list)

    def run(self) -> EventLog:
        """Run the study under blows and then to its end; bounded in time."""
        self._trials = first_trials(self.seconds)
        self._began = time.monotonic()
        self._start()
        if not self._wait_for_training():
            raise StudyError(
                f"the study must train before it is struck, but does not; its driver said: "
                f"{self.harness.driver.output()}; look at {self.harness.driver.log}."
            )
        self._began = time.monotonic()
        self._inject_all()
        is_finished = self._finish()
        return EventLog(
            injected=tuple(self._injected),
            ends=tuple(self._ends),
            n_starts=self.harness.driver.n_starts,
            n_planned=len(self.faults),
            seconds=self._now(),
            is_finished=is_finished,
        )

    def _inject_all(self) -> None:
        late_s = 0.0
        for fault in self.faults:
            while self._now() < fault.at_s + late_s:
                self._supervise()
                time.sleep(_POLL_S)
            # What comes late, because a start took long, delays all that follows.
            self._inject(fault)
            late_s = max(late_s, self._now() - fault.at_s)
            if self._must_give_up() or self._now() > 2 * self.seconds + _STALL_TIMEOUT_S:
                return

    def _inject(self, fault: Fault) -> None:
        is_ready = fault.kind not in _NEED_TRAINING or self._wait_for_training()
        if fault.kind in _NEED_PROCESS:
            is_ready &= self._wait_for_process()
        at_s = self._now()
        if not is_ready:
            effect = InjectionEffect(note="nothing is being trained", outcome="skipped")
        elif any(outage.kind == fault.kind for outage in self._outages):
            effect = InjectionEffect(note="it is away already", outcome="skipped")
        else:
            effect = INJECTIONS[fault.kind](self.harness, self._rng)
        self._record_injection(fault, effect, at_s)
        if effect.undo is not None:
            until_s = self._now() + fault.length_s
            self._outages.append(_Outage(kind=fault.kind, until_s=until_s, undo=effect.undo))
            self._database_was_away |= fault.kind == "database"
        if effect.ends_driver:
            self._cause = fault.kind
            self._supervise()

    def _record_injection(self, fault: Fault, effect: InjectionEffect, at_s: float) -> None:
        self._injected.append(
            InjectedFault(fault=fault, at_s=at_s, outcome=effect.outcome, note=effect.note)
        )
        outage = f", for {fault.length_s:.0f} s" if effect.undo is not None else ""
        word = "" if effect.outcome == "survived" else f" ({effect.outcome})"
        self._log_event(f"{fault.kind}{word}: {effect.note}{outage}")

    def _supervise(self) -> None:
        """Bring back what is due, and start the driver again if it has ended."""
        self._restore()
        code = self.harness.driver.poll()
        if code is None:
            self._check_training()
            return
        if self._must_give_up():
            return
        if code == 0:
            self._record_exit(code, self._cause or "finished")
            # All trials have ended before the blows have: there shall be more.
            self._trials = more_trials(self._trials, self._now(), self.seconds)
            self._log_event(
                f"the study is finished; going on with {self._trials} trials per search"
            )
        else:
            self._record_exit(code, self._cause or self._startup_cause(code))
        if not self._must_give_up():
            self._start()

    def _record_exit(self, code: int, cause: str | None) -> None:
        output = self.harness.driver.output()
        self._ends.append(DriverExit(at_s=self._now(), code=code, cause=cause, output=output))
        if cause is None:
            self._log_event(f"the driver ended unasked with exit code {code}: {output}")

    def _startup_cause(self, code: int) -> str | None:
        """Name what may keep a driver from starting: it says so, and ends with 2."""
        is_start = not self._is_training
        return "database" if code == 2 and is_start and self._database_was_away else None

    def _start(self) -> None:
        self._cause, self._is_training = None, False
        self._database_was_away = any(outage.kind == "database" for outage in self._outages)
        self._n_before = self.harness.n_reports()
        self.harness.start_study(self._trials)

    def _check_training(self) -> None:
        if not self._is_training:
            self._is_training = self.harness.n_reports() > self._n_before

    def _wait_for_training(self) -> bool:
        return self._wait_for(lambda: self._is_training and self.harness.driver.poll() is None)

    def _wait_for_process(self) -> bool:
        return self._wait_for(lambda: bool(self.harness.cluster.trial_pids()))

    def _wait_for(self, is_true: Callable[[], bool]) -> bool:
        """Wait for something that a study which is tended comes to; False if it does not."""
        end = time.monotonic() + _TRAINING_TIMEOUT_S
        while time.monotonic() < end and not self._must_give_up():
            self._supervise()
            if is_true():
                return True
            time.sleep(_POLL_S)
        return False

    def _restore(self) -> None:
        for outage in list(self._outages):
            if self._now() >= outage.until_s:
                self._outages.remove(outage)
                outage.undo()
                self._log_event(f"{outage.kind} is back")

    def _must_give_up(self) -> bool:
        return sum(end.cause is None for end in self._ends) >= _MAX_UNEXPLAINED

    def _finish(self) -> bool:
        """Leave the study alone until it ends; False if it does not."""
        self._log_event("no more blows; the study runs to its end")
        began_s = moved_s = self._now()
        stage = None
        while self._now() < began_s + _FINISH_TIMEOUT_S and not self._must_give_up():
            if (now := self._progress()) != stage:
                stage, moved_s = now, self._now()
            if self._now() > moved_s + _STALL_TIMEOUT_S:
                return False
            self._restore()
            if self.harness.driver.poll() != 0:
                self._supervise()
            elif not self._outages and not self._must_restart_for_sync():
                self._log_event("the study is finished")
                return True
            time.sleep(_POLL_S)
        return False

    def _progress(self) -> tuple[int, int]:
        """Tell how far the study is: evaluations that are stored, and entries not delivered."""
        pending = Outbox(path=self.harness.folder.outbox).pending()
        return self.harness.n_reports(), pending.records

    def _must_restart_for_sync(self) -> bool:
        """Start the study once more if it ended while MLflow was away, as its last line says."""
        if not Outbox(path=self.harness.folder.outbox).pending().records or self._n_resyncs > 1:
            return False
        self._n_resyncs += 1
        self._log_event("MLflow has not been told everything; starting the study once more")
        self._record_exit(0, "finished")
        self._start()
        return True

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _log_event(self, text: str) -> None:
        self.on_event(f"{self._now():6.0f} s  {text}")
