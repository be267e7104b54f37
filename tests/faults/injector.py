"""The injector: injects the planned faults while a study runs, restarts it, awaits its end."""

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

# These need a trial in training; without one there is nothing to lose.
_NEED_TRAINING: Final[frozenset[FaultKind]] = frozenset(
    {"checkpoint", "driver", "head", "preempt", "twice", "worker"}
)
# A trial's process that was just killed takes a moment to start again.
_NEED_PROCESS: Final[frozenset[FaultKind]] = frozenset({"checkpoint", "worker"})
# A driver that starts trains after 20 s on two idle cores; other processes may run too.
_TRAINING_TIMEOUT_S: Final = 300.0
# How long the study may stand still, and how much later than planned a fault may come.
_STALL_TIMEOUT_S: Final = 300.0
# How long the study may take to end after the last fault, however busy the machine is.
_FINISH_TIMEOUT_S: Final = 3600.0
_MAX_UNEXPLAINED: Final = 3
_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outage:
    """A service that is restored at a time."""

    kind: FaultKind
    until_s: float
    undo: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class FaultInjector:
    """One run with faults. Has mutable state: the time, outages, and what happened."""

    harness: Harness
    faults: Sequence[Fault]
    seconds: float
    on_event: Callable[[str], None]
    _rng: random.Random = field(default_factory=lambda: random.Random("injections"))
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
        """Run the study under faults and then to its end; bounded in time."""
        self._trials = first_trials(self.seconds)
        self._began = time.monotonic()
        self._start()
        if not self._wait_for_training():
            raise StudyError(
                f"the study must train before faults are injected, but does not; its driver's "
                f"output: {self.harness.driver.output()}; look at {self.harness.driver.log}."
            )
        self._began = time.monotonic()
        self._inject_all()
        is_finished = self._finish()
        return EventLog(
            injected=tuple(self._injected),
            ends=tuple(self._ends),
            n_starts=self.harness.driver.n_starts,
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
            is_ready &= self._wait_for(lambda: bool(self.harness.cluster.trial_pids()))
        at_s = self._now()
        if not is_ready:
            effect = InjectionEffect(note="nothing is being trained", outcome="skipped")
        elif any(outage.kind == fault.kind for outage in self._outages):
            effect = InjectionEffect(note="it is unavailable already", outcome="skipped")
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
        """Restore what is due, and start the driver again if it has ended."""
        self._restore()
        code = self.harness.driver.poll()
        if code is None:
            self._is_training = self._is_training or self.harness.n_reports() > self._n_before
            return
        if self._must_give_up():
            return
        if code == 0:
            self._record_exit(code, self._cause or "finished")
            # All trials ended before the last fault.
            self._trials = more_trials(self._trials, self._now(), self.seconds)
            self._log_event(f"the study is finished; continuing with {self._trials} trials")
        else:
            self._record_exit(code, self._cause or self._startup_cause(code))
        if not self._must_give_up():
            self._start()

    def _record_exit(self, code: int, cause: str | None) -> None:
        output = self.harness.driver.output()
        self._ends.append(DriverExit(at_s=self._now(), code=code, cause=cause, output=output))
        if cause is None:
            self._log_event(f"the driver ended without a cause with exit code {code}: {output}")

    def _startup_cause(self, code: int) -> str | None:
        """Return the cause if a driver refused to start without its database, which is code 2."""
        is_start = not self._is_training
        return "database" if code == 2 and is_start and self._database_was_away else None

    def _start(self) -> None:
        self._cause, self._is_training = None, False
        self._database_was_away = any(outage.kind == "database" for outage in self._outages)
        self._n_before = self.harness.n_reports()
        self.harness.start_study(self._trials)

    def _wait_for_training(self) -> bool:
        return self._wait_for(lambda: self._is_training and self.harness.driver.poll() is None)

    def _wait_for(self, is_true: Callable[[], bool]) -> bool:
        """Supervise the study until a condition holds; False if it does not in time."""
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
                self._log_event(f"{outage.kind} is restored")

    def _must_give_up(self) -> bool:
        return sum(end.cause is None for end in self._ends) >= _MAX_UNEXPLAINED

    def _finish(self) -> bool:
        """Leave the study alone until it ends; False if it does not."""
        self._log_event("no more faults; the study runs to its end")
        began_s = moved_s = self._now()
        progress = None
        while self._now() < began_s + _FINISH_TIMEOUT_S and not self._must_give_up():
            if (now := (self.harness.n_reports(), self._n_pending())) != progress:
                progress, moved_s = now, self._now()
            if self._now() > moved_s + _STALL_TIMEOUT_S:
                return False
            self._restore()
            if self.harness.driver.poll() != 0:
                self._supervise()
            elif not self._outages and not self._restart_for_sync():
                self._log_event("the study is finished")
                return True
            time.sleep(_POLL_S)
        return False

    def _n_pending(self) -> int:
        return Outbox(path=self.harness.folder.outbox).pending().records

    def _restart_for_sync(self) -> bool:
        """Start the study once more if it ended while MLflow was away, as its last line says."""
        if not self._n_pending() or self._n_resyncs > 1:
            return False
        self._n_resyncs += 1
        self._log_event("MLflow does not have everything; starting the study once more")
        self._record_exit(0, "finished")
        self._start()
        return True

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _log_event(self, text: str) -> None:
        self.on_event(f"{self._now():6.0f} s  {text}")
