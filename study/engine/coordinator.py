"""The coordinator of a study's trials: ask, report, tell.

Executors ask :meth:`TrialCoordinator.ask` for trials and report what happened to them; they have
no state of their own. The coordinator's state can be read again from the trial store and the
result files, so that a new one continues exactly where a killed one stopped: a trial that was
running is assigned again under its own number and continues from its own checkpoint.

Reports and ends are on disk, in the trial's folder, before anything else happens; a
:class:`StoreWriter` writes them to the trial store, at once or when the database is back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from study.config.study_spec import StudySpec
from study.engine.deduplication import DuplicateTrials, copy_files
from study.engine.planner import (
    CreatedTrial,
    TrialRequest,
    count_pending,
    create_trial,
    has_work,
    next_request,
)
from study.engine.protocol import AskResult, Callback, Done, Stop, TrialAssignment, Wait
from study.engine.resume_checks import require_same_configurations
from study.records.clock import now_ms
from study.records.errors import BusyError, StoreError, StudyError
from study.records.trial_table import PHASES, StoredReport
from study.results.state import PhaseState, StudyState, finish_record
from study.results.stored_trials import require_undamaged
from study.storage.database import permanent_error
from study.storage.layout import StudyFolder, TrialKey
from study.storage.report_log import TrialOutcome, append_report
from study.storage.store_writer import StoreWriter
from study.storage.trial_files import begin_trial, write_outcome
from study.storage.trial_store import IntermediateValue, TrialRecord, TrialStore
from trainables import trained_models
from trainables.report import Report, mean

logger = logging.getLogger(__name__)


class TrialCoordinator:
    """Assigns trials and tracks their state. Executors call it from one thread.

    Only :meth:`stop` may be called from any thread and from a signal handler.
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
        """Continue a study from its trial store and result files.

        Raises:
            StoreError: If database and result files do not agree, or trials were created with
                other configurations than now.
        """
        self.state = StudyState(spec, folder, store)
        self.is_stopping = False
        self.stop_error: StudyError | None = None
        """Why the study cannot continue, or None."""
        self._spec = spec
        self._folder = folder
        self._store = store
        self._callbacks = tuple(callbacks)
        require_undamaged(folder, self.state.trials)
        require_same_configurations(self.state)
        self._writer = writer or StoreWriter()
        self._duplicates = DuplicateTrials(self.state)
        self._creating: Future[CreatedTrial] | None = None
        for arm in spec.arms:
            for name in PHASES:
                self._resume(self.state.phase(arm.name, name))
        self._finish_groups()

    def ask(self, limit: int | None = None) -> AskResult:
        """Return the next trial to train, or why there is none.

        Args:
            limit: Trials that the executor may run at a time, besides the study file's limit;
                None for any number.
        """
        # A duplicate of another trial ends when it is assigned.
        while (step := self._next_action(limit)) is None:
            continue
        return step

    def _next_action(self, limit: int | None) -> AskResult | None:
        if self.is_stopping or not self._check_writer():
            return Stop()
        if self._creating is not None:
            return self._created(self._creating)
        if self._is_full(limit):
            return Wait() if self.n_running or self.has_work() else Done()
        if (interrupted := self._next_interrupted()) is not None:
            return self._assign(interrupted)
        request = next_request(self.state)
        if request is not None:
            return self._create(request)
        return Wait() if any(phase.is_running for phase in self.state.phases) else Done()

    def report(self, key: TrialKey, report: Report) -> None:
        """Store an evaluation; a repeated or late one changes nothing."""
        known = self.state.reports_by_epoch(key)
        if report.epoch in known or self.state.record(key).state != "RUNNING":
            return
        stored = StoredReport(
            epoch=report.epoch,
            time_ms=self._time_ms(key),
            metrics=dict(report.metrics),
            usage=dict(report.usage),
        )
        try:
            digest = self.state.identity(self.state.record(key)).digest
            append_report(self._folder.reports(key), stored, digest)
        except OSError as error:
            self.stop(self._folder.write_error(error))
            return
        known[report.epoch] = stored
        self._store_report(key, stored)
        self._notify(lambda callback: callback.on_report(key, stored))

    def tell(self, key: TrialKey) -> None:
        """End a trial: complete if its last epoch was reported, else pruned by a scheduler.

        A trial that ends early because the run stops has not ended: it continues with the study.
        """
        last = self.state.reports_by_epoch(key).get(self._epochs(key))
        if last is not None:
            value = mean(last.metrics[self._spec.metric])
            self._finish(
                key, TrialOutcome(state="COMPLETE", value=value, finished_ms=self._time_ms(key))
            )
        elif not self.is_stopping:
            self._finish(key, TrialOutcome(state="PRUNED", finished_ms=self._time_ms(key)))

    def tell_failure(self, key: TrialKey, reason: str) -> None:
        """End a trial that failed."""
        self._finish(
            key, TrialOutcome(state="FAIL", reason=reason, finished_ms=self._time_ms(key))
        )

    def stop(self, error: StudyError | None = None) -> None:
        """Assign no more trials, and let running ones write their checkpoints and stop.

        Args:
            error: Why the study cannot continue, or None if the user stops it.
        """
        self.stop_error = self.stop_error or error
        if not self.is_stopping:
            self.is_stopping = True
            if isinstance(error, BusyError):
                # The trials of the process that took over check the same file.
                return
            # A full disk takes no stop file either; executors then end the trials after a while,
            # and these continue from their last checkpoints.
            with suppress(OSError):
                self._folder.stop.touch()

    @property
    def n_running(self) -> int:
        """Number of assigned trials that have not ended."""
        return sum(len(phase.assigned) for phase in self.state.phases)

    @property
    def n_pending(self) -> int:
        """Number of trials that could be assigned now, without limits."""
        return count_pending(self.state)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything is in the trial store or the time is up; False if it is not.

        Raises:
            StoreError: If the disk of its database fails.
        """
        try:
            return self._writer.flush(timeout_s)
        except Exception as error:
            raise permanent_error(error) or error from None

    def has_work(self) -> bool:
        """Check whether any trial is still to be trained."""
        return has_work(self.state)

    def _resume(self, phase: PhaseState) -> None:
        # Reports and ends in the result files that a killed driver did not write to the store.
        for number in list(phase.interrupted):
            key = phase.records[number].key
            for report in self.state.reports_of(key):
                self._store_report(key, report)
            if (outcome := phase.outcomes.get(number)) is not None:
                phase.interrupted.remove(number)
                self._finish(key, outcome)
            elif self._epochs(key) in phase.reports.get(number, {}):
                phase.interrupted.remove(number)
                self.tell(key)

    def _time_ms(self, key: TrialKey) -> int:
        """Return the time of an event of a trial, none before those there are of it.

        The clock of a former process, or of another machine, may have been ahead.
        """
        known = self.state.reports_by_epoch(key).values()
        latest = max((report.time_ms for report in known), default=0)
        return max(now_ms(), self.state.record(key).started_ms, latest)

    def _epochs(self, key: TrialKey) -> int:
        return self.state.config(self.state.record(key)).training.epochs

    def _is_full(self, limit: int | None) -> bool:
        """Check whether a limit on running trials is reached."""
        limits = (self._spec.resources.max_concurrent, limit)
        return any(limit is not None and limit <= self.n_running for limit in limits)

    def _next_interrupted(self) -> TrialRecord | None:
        for phase in self.state.phases:
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
        """Check that the writer has not failed; a failure stops the run."""
        try:
            self._writer.raise_failure()
        except Exception as error:
            self._stop_on(error)
        return not self.is_stopping

    def _created(self, creating: Future[CreatedTrial]) -> AskResult | None:
        if not creating.done():
            return Wait()
        self._creating = None
        try:
            found = creating.result()
        except Exception as error:
            return self._stop_on(error)
        if found.group_point is not None:
            group = self.state.groups[str(self._spec.arm(found.record.key.arm).group)]
            group.records.setdefault(found.group_point.key.number, found.group_point)
        return self._assign(found.record)

    def _assign(self, record: TrialRecord) -> AskResult | None:
        phase = self.state.phase(record.key.arm, record.key.phase)
        phase.records[record.key.number] = record
        try:
            folder = begin_trial(self._folder, self.state.identity(record))
        except StoreError as error:
            phase.interrupted.insert(0, record.key.number)
            self.stop(error)
            return Stop()
        phase.assigned.add(record.key.number)
        config = self.state.config(record)
        self._notify(lambda callback: callback.on_trial_start(record, config))
        duplicate = self._duplicates.find(record)
        if duplicate is None:
            return TrialAssignment(key=record.key, config=config, folder=folder)
        self._copy_results(record.key, duplicate.key)
        return None

    def _copy_results(self, key: TrialKey, known: TrialKey) -> None:
        """Copy the results of a trial with the same configuration and seeds."""
        logger.info("%s has the settings and seeds of %s, and its results.", key, known)
        try:
            # Before its reports: with the last of them it ends, even if the process is killed.
            copy_files(self._folder.trial(known), self._folder.trial(key))
        except StoreError as error:
            self.stop(error)
            return
        for report in self.state.reports_of(known):
            self.report(key, Report(epoch=report.epoch, metrics=dict(report.metrics)))
        self.tell(key)

    def _finish(self, key: TrialKey, outcome: TrialOutcome) -> None:
        """Store the end of a trial; the first end is kept."""
        if self.state.record(key).state != "RUNNING":
            return
        try:
            write_outcome(self._folder, self.state.identity(self.state.record(key)), outcome)
        except (StoreError, OSError) as error:
            self.stop(error if isinstance(error, StoreError) else self._folder.write_error(error))
            return
        phase = self.state.phase(key.arm, key.phase)
        phase.assigned.discard(key.number)
        phase.records[key.number] = record = finish_record(phase.records[key.number], outcome)
        self._duplicates.add(record)
        # Before it is told: an ended trial is not visited again if the process is killed here.
        for pattern in self._unneeded_files(record):
            for file in self._folder.trial(key).glob(pattern):
                file.unlink()
        self._store_outcome(key, outcome)
        if key.phase == "search":
            self._finish_groups()
        self._notify(lambda callback: callback.on_trial_end(record, self.state.reports_of(key)))

    def _unneeded_files(self, record: TrialRecord) -> Iterator[str]:
        """Yield the patterns of an ended trial's files that nothing reads again."""
        yield "epoch-*.pt"
        keep = self._spec.resources.keep_models
        if keep == "all" and record.state == "COMPLETE":
            return
        best = self.state.best(self._spec.arm(record.key.arm))
        is_chosen = best is not None and dict(record.params) == dict(best)
        if keep == "none" or record.state != "COMPLETE" or not is_chosen:
            yield trained_models.PATTERN

    def _store_report(self, key: TrialKey, report: StoredReport) -> None:
        if self._spec.metric in report.metrics:
            value = mean(report.metrics[self._spec.metric])
            item = IntermediateValue(key=key, epoch=report.epoch, value=value)
            # Not waited for, unlike the next creation or end of a trial.
            self._write(partial(self._writer.enqueue, self._store.report, item))

    def _store_outcome(self, key: TrialKey, outcome: TrialOutcome) -> None:
        self._write(partial(self._writer.call, partial(self._store.tell, key, outcome)))

    def _finish_groups(self) -> None:
        for group in self.state.groups.values():
            for key, outcome in list(group.finished(self.state.search_trial, now_ms())):
                self._store_outcome(key, outcome)
                group.records[key.number] = finish_record(group.records[key.number], outcome)

    def _write(self, write: Callable[[], object]) -> None:
        """Write to the trial store; a failure stops the run."""
        try:
            write()
        except Exception as error:
            self._stop_on(error)

    def _stop_on(self, error: Exception) -> Stop:
        store_error = error if isinstance(error, StoreError) else permanent_error(error)
        if store_error is None:
            raise error
        self.stop(store_error)
        return Stop()

    def _notify(self, call: Callable[[Callback], None]) -> None:
        for callback in self._callbacks:
            try:
                call(callback)
            except StoreError as error:
                self.stop(error)
