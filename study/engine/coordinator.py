"""Hands out a study's trials and keeps its books, whoever executes them.

Executors ask :meth:`TrialCoordinator.ask` for work and say what happened to it; they hold no state of
their own. Everything the conductor knows can be read again from the ledger and the result files,
so that a new one goes on exactly where a killed one stood: a trial that was running is handed
out again under its own number and continues from its own checkpoint.

What it hears is on disk, in the trial's folder, before it does anything else; the ledger is told
from there by a :class:`StoreWriter`, at once or when its database is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from search_spaces import ParamValue
from study.config import Arm, StudySpec
from study.engine.deduplication import DuplicateTrials, copy_attribution_maps
from study.engine.planner import (
    CreatedTrial,
    TrialRequest,
    count_pending,
    create_trial,
    has_work,
    next_request,
)
from study.engine.protocol import AskResult, Callback, Done, Stop, TrialAssignment, Wait
from study.records.errors import BusyError, StoreError, StudyError
from study.records.trial_table import StoredReport
from study.results.state import PHASES, PhaseState, StudyState, finish_record
from study.storage.database import permanent_error
from study.storage.layout import StudyFolder, TrialKey
from study.storage.report_log import TrialOutcome, append_report, read_outcome, write_outcome
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import IntermediateValue, TrialRecord, TrialStore
from trainables.config import TrialConfig
from trainables.report import Report, mean

logger = logging.getLogger(__name__)


class TrialCoordinator:
    """Hands out trials and keeps the books. Executors call it from one thread.

    :meth:`stop` alone may be called from any thread and from a signal's handler.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        store: TrialStore,
        callbacks: Iterable[Callback],
        *,
        writer: StoreWriter | None = None,
    ) -> None:
        """Take up a study where the ledger and the result files say that it stands.

        Args:
            spec: The study.
            folder: Its folder.
            ledger: Its database.
            listeners: Who is told what happens.
            clerk: Who writes to the ledger; one of the conductor's own if it is left out.

        Raises:
            StoreError: If the database is not the one that the study was run with.
        """
        self._spec = spec
        self._folder = folder
        self._store = store
        self._callbacks = tuple(callbacks)
        self._state = StudyState(spec, folder, store)
        self._require_known_trials()
        self._writer = writer or StoreWriter()
        self._duplicates = DuplicateTrials(self._state)
        self._creating: Future[CreatedTrial] | None = None
        self._is_stopping = False
        self._stop_error: StudyError | None = None
        for arm in spec.arms:
            for name in PHASES:
                self._resume(arm, self._state.phase(arm.name, name))
        self._finish_groups()

    @property
    def state(self) -> StudyState:
        """All trials as they stand."""
        return self._state

    def ask(self, limit: int | None = None) -> AskResult:
        """Give the next trial to train, or say why there is none.

        Args:
            at_most: Trials at a time that the executor has room for, beside what the study file
                says; None for any number.
        """
        # What only repeats another trial has ended when it is given out.
        while (step := self._next_action(limit)) is None:
            continue
        return step

    def _next_action(self, limit: int | None) -> AskResult | None:
        if self._is_stopping or not self._check_writer():
            return Stop()
        if self._creating is not None:
            return self._created(self._creating)
        if self._is_full(limit):
            return Wait() if self.is_running_trials or self.has_work() else Done()
        if (interrupted := self._next_interrupted()) is not None:
            return self._assign(interrupted)
        request = next_request(self._state)
        if request is None:
            running = any(phase.is_running for phase in self._state.phases)
            return Wait() if running else Done()
        return self._create(request)

    def report(self, key: TrialKey, report: Report) -> None:
        """Store an evaluation; one that is known, late or repeated changes nothing."""
        known = self._state.reports_by_epoch(key)
        if report.epoch in known or self._state.record(key).state != "RUNNING":
            return
        stored = StoredReport(
            epoch=report.epoch,
            time_ms=_now_ms(),
            metrics=dict(report.metrics),
            usage=dict(report.usage),
        )
        try:
            append_report(self._folder.reports(key), stored)
        except OSError as error:
            self.stop(self._folder.write_error(error))
            return
        known[report.epoch] = stored
        self._store_report(key, stored)
        self._notify(lambda callback: callback.on_report(key, stored))

    def tell(self, key: TrialKey) -> None:
        """End a trial: complete if its last epoch was reported, else stopped by a scheduler.

        A trial that ends before its time because the run stops has not ended: it goes on when
        the study does.
        """
        last = self._state.reports_by_epoch(key).get(self._spec.arm(key.arm).training.epochs)
        if last is not None:
            value = mean(last.metrics[self._spec.metric])
            self._finish(key, TrialOutcome(state="COMPLETE", value=value, finished_ms=_now_ms()))
        elif not self._is_stopping:
            self._finish(key, TrialOutcome(state="PRUNED", finished_ms=_now_ms()))

    def tell_failure(self, key: TrialKey, reason: str) -> None:
        """End a trial that can have no result."""
        self._finish(key, TrialOutcome(state="FAIL", reason=reason, finished_ms=_now_ms()))

    def stop(self, error: StudyError | None = None) -> None:
        """Begin nothing more, and ask the trials to write their checkpoints and stop.

        Args:
            error: Why the study cannot go on, or None if the user wants it so.
        """
        self._stop_error = self._stop_error or error
        if not self._is_stopping:
            self._is_stopping = True
            if isinstance(error, BusyError):
                # The trials of the process that took over look at the same file.
                return
            # A disk that takes nothing cannot pass on the request either; executors then end the
            # trials after a while, and these go on from their last checkpoints.
            with suppress(OSError):
                self._folder.stop.touch()

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._is_stopping

    @property
    def stop_error(self) -> StudyError | None:
        """Why the study cannot go on, or None."""
        return self._stop_error

    @property
    def is_running_trials(self) -> bool:
        """Whether a trial that was handed out has not ended."""
        return self.n_running > 0

    @property
    def n_running(self) -> int:
        """How many trials were handed out and have not ended."""
        return sum(len(phase.assigned) for phase in self._state.phases)

    @property
    def n_pending(self) -> int:
        """How many trials could be handed out now, if there were room for all of them."""
        return count_pending(self._state)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the ledger has been told everything; tells whether it has.

        Raises:
            StoreError: If the disk of its database fails.
        """
        try:
            return self._writer.flush(timeout_s)
        except Exception as error:
            raise permanent_error(error) or error from None

    def has_work(self) -> bool:
        """Tell whether any trial is still to be trained; asks for none."""
        return has_work(self._state)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Give the chosen configuration, or None while the search goes on or if it found none."""
        return self._state.best(arm)

    def records(self) -> Iterator[TrialRecord]:
        """Give all trials, by arm, phase and number."""
        return self._state.records()

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Give a trial's stored evaluations by epoch."""
        return self._state.reports_of(key)

    def config(self, record: TrialRecord) -> TrialConfig:
        """Give the configuration of a trial."""
        return self._state.config(record)

    def _require_known_trials(self) -> None:
        # A trial is in the ledger before it has a folder.
        known = {self._folder.trial(record.key) for record in self._state.records()}
        begun = {path for arm in self._spec.arms for path in self._folder.trials(arm.name)}
        unknown = sorted(begun - known)
        if unknown:
            raise StoreError(
                f"the Optuna database must know every trial of {self._folder.path}, but has not "
                f"heard of {len(unknown)} of them, {unknown[0].relative_to(self._folder.path)} "
                "first; name the database that the study was run with by --database or "
                "CHALLENGER_DATABASE, or put it back where it was."
            )

    def _resume(self, arm: Arm, phase: PhaseState) -> None:
        # What a driver stored and did not live to tell the ledger: reports, and ends of trials.
        for number in list(phase.interrupted):
            key = phase.records[number].key
            for report in self.reports_of(key):
                self._store_report(key, report)
            outcome = read_outcome(self._folder.outcome(key))
            if outcome is not None:
                phase.interrupted.remove(number)
                self._finish(key, outcome)
            elif arm.training.epochs in phase.reports.get(number, {}):
                phase.interrupted.remove(number)
                self.tell(key)

    def _is_full(self, limit: int | None) -> bool:
        """Tell whether another trial would be one too many, by whoever limits them."""
        limits = (self._spec.resources.max_concurrent, limit)
        return any(limit is not None and limit <= self.n_running for limit in limits)

    def _next_interrupted(self) -> TrialRecord | None:
        for phase in self._state.phases:
            if phase.interrupted:
                return phase.records[phase.interrupted.pop(0)]
        return None

    def _create(self, request: TrialRequest) -> AskResult | None:
        try:
            self._creating = self._writer.call(partial(create_trial, self._store, request))
        except Exception as error:
            return self._stop_on(error)
        return self._created(self._creating)

    def _check_writer(self) -> bool:
        """Tell whether the ledger takes what it is told; what it refused stops the run."""
        try:
            self._writer.raise_failure()
        except Exception as error:
            self._stop_on(error)
        return not self._is_stopping

    def _created(self, creating: Future[CreatedTrial]) -> AskResult | None:
        if not creating.done():
            return Wait()
        self._creating = None
        try:
            found = creating.result()
        except Exception as error:
            return self._stop_on(error)
        if found.group_point is not None:
            group = self._state.groups[str(self._spec.arm(found.record.key.arm).group)]
            group.records.setdefault(found.group_point.key.number, found.group_point)
        return self._assign(found.record)

    def _assign(self, record: TrialRecord) -> AskResult | None:
        phase = self._state.phase(record.key.arm, record.key.phase)
        phase.records[record.key.number] = record
        try:
            folder = self._folder.make_trial(record.key)
        except StoreError as error:
            phase.interrupted.insert(0, record.key.number)
            self.stop(error)
            return Stop()
        phase.assigned.add(record.key.number)
        config = self.config(record)
        self._notify(lambda callback: callback.on_trial_start(record, config))
        duplicate = self._duplicates.find(record)
        if duplicate is None:
            return TrialAssignment(key=record.key, config=config, folder=folder)
        self._copy_results(record.key, duplicate.key)
        return None

    def _copy_results(self, key: TrialKey, known: TrialKey) -> None:
        """Give a trial the results of another one that trained the same."""
        logger.info("%s has the settings and seeds of %s, and its results.", key, known)
        try:
            # Before its reports: with the last of them it has ended, whoever dies in between.
            copy_attribution_maps(self._folder.trial(known), self._folder.trial(key))
        except StoreError as error:
            self.stop(error)
            return
        for report in self.reports_of(known):
            self.report(key, Report(epoch=report.epoch, metrics=dict(report.metrics)))
        self.tell(key)

    def _finish(self, key: TrialKey, outcome: TrialOutcome) -> None:
        """Keep how a trial ended, and tell it; the first end of a trial is kept."""
        if self._state.record(key).state != "RUNNING":
            return
        try:
            write_outcome(self._folder.outcome(key), outcome)
        except StoreError as error:
            self.stop(error)
            return
        phase = self._state.phase(key.arm, key.phase)
        phase.assigned.discard(key.number)
        phase.records[key.number] = record = finish_record(phase.records[key.number], outcome)
        self._duplicates.add(record)
        # Before it is told: a trial that is told is not looked at again, whoever dies in between.
        for file in self._folder.trial(key).glob("epoch-*.pt"):
            file.unlink()
        self._store_outcome(key, outcome)
        if key.phase == "search":
            self._finish_groups()
        self._notify(lambda callback: callback.on_trial_end(record, self.reports_of(key)))

    def _store_report(self, key: TrialKey, report: StoredReport) -> None:
        if self._spec.metric in report.metrics:
            value = mean(report.metrics[self._spec.metric])
            reached = IntermediateValue(key=key, epoch=report.epoch, value=value)
            # Nobody waits for it: whoever asks or ends a trial next does.
            self._enqueue(partial(self._writer.enqueue, self._store.report, reached))

    def _store_outcome(self, key: TrialKey, outcome: TrialOutcome) -> None:
        self._enqueue(partial(self._writer.call, partial(self._store.tell, key, outcome)))

    def _finish_groups(self) -> None:
        for group in self._state.groups.values():
            for key, outcome in list(group.finished(self._state.search_trial, _now_ms())):
                self._store_outcome(key, outcome)
                group.records[key.number] = finish_record(group.records[key.number], outcome)

    def _enqueue(self, give: Callable[[], object]) -> None:
        """Give the clerk something to tell the ledger; if he cannot, the run stops."""
        try:
            give()
        except Exception as error:
            self._stop_on(error)

    def _stop_on(self, error: Exception) -> Stop:
        store_error = error if isinstance(error, StoreError) else permanent_error(error)
        if store_error is None:
            raise error
        self.stop(store_error)
        return Stop()

    def _notify(self, tell: Callable[[Callback], None]) -> None:
        for callback in self._callbacks:
            try:
                tell(callback)
            except StoreError as error:
                self.stop(error)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
