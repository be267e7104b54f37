"""Hands out a study's trials and keeps its books, whoever executes them.

Executors ask :meth:`Conductor.next` for work and say what happened to it; they hold no state of
their own. Everything the conductor knows can be read again from the ledger and the result files,
so that a new one goes on exactly where a killed one stood: a trial that was running is handed
out again under its own number and continues from its own checkpoint.

What it hears is on disk, in the trial's folder, before it does anything else; the ledger is told
from there by a :class:`Clerk`, at once or when its database is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from search_spaces import ParamValue
from study.agenda import Answer, Question, answer, count_open, has_work, next_question
from study.books import PHASES, Books, Phase, ended
from study.errors import BusyError, StoreError, StudyError
from study.handout import Assignment, Done, Listener, Next, Stop, Wait
from study.spec import Arm, StudySpec
from study.store.clerk import Clerk
from study.store.ends import End, read_end, write_end
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Entry, IntermediateValue, Ledger
from study.store.outage import as_store_error
from study.store.results import append_report
from study.trial_table import StoredReport
from study.twins import Twins, copy_maps
from trainables.config import TrialConfig
from trainables.report import Report, mean

logger = logging.getLogger(__name__)


class Conductor:
    """Hands out trials and keeps the books. Executors call it from one thread.

    :meth:`stop` alone may be called from any thread and from a signal's handler.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        ledger: Ledger,
        listeners: Iterable[Listener],
        *,
        clerk: Clerk | None = None,
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
        self._ledger = ledger
        self._listeners = tuple(listeners)
        self._books = Books(spec, folder, ledger)
        self._require_own_database()
        self._clerk = clerk or Clerk()
        self._twins = Twins(self._books)
        self._asking: Future[Answer] | None = None
        self._is_stopping = False
        self._stop_error: StudyError | None = None
        for arm in spec.arms:
            for name in PHASES:
                self._take_over(arm, self._books.phase(arm.name, name))
        self._settle_groups()

    @property
    def books(self) -> Books:
        """All trials as they stand."""
        return self._books

    def next(self, at_most: int | None = None) -> Next:
        """Give the next trial to train, or say why there is none.

        Args:
            at_most: Trials at a time that the executor has room for, beside what the study file
                says; None for any number.
        """
        # What only repeats another trial has ended when it is given out.
        while (step := self._step(at_most)) is None:
            continue
        return step

    def _step(self, at_most: int | None) -> Next | None:
        if self._is_stopping or not self._is_told():
            return Stop()
        if self._asking is not None:
            return self._answered(self._asking)
        if self._is_full(at_most):
            return Wait() if self.is_training or self.has_work() else Done()
        if (orphan := self._orphan()) is not None:
            return self._assign(orphan)
        question = next_question(self._books)
        if question is None:
            running = any(phase.is_running for phase in self._books.phases)
            return Wait() if running else Done()
        return self._ask(question)

    def report(self, key: TrialKey, report: Report) -> None:
        """Store an evaluation; one that is known, late or repeated changes nothing."""
        known = self._books.known_reports(key)
        if report.epoch in known or self._books.entry(key).state != "RUNNING":
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
            self.stop(self._folder.lost(error))
            return
        known[report.epoch] = stored
        self._tell(key, stored)
        self._announce(lambda listener: listener.reported(key, stored))

    def finish(self, key: TrialKey) -> None:
        """End a trial: complete if its last epoch was reported, else stopped by a scheduler.

        A trial that ends before its time because the run stops has not ended: it goes on when
        the study does.
        """
        last = self._books.known_reports(key).get(self._spec.arm(key.arm).training.epochs)
        if last is not None:
            value = mean(last.metrics[self._spec.metric])
            self._end(key, End(state="COMPLETE", value=value, finished_ms=_now_ms()))
        elif not self._is_stopping:
            self._end(key, End(state="PRUNED", finished_ms=_now_ms()))

    def fail(self, key: TrialKey, reason: str) -> None:
        """End a trial that can have no result."""
        self._end(key, End(state="FAIL", reason=reason, finished_ms=_now_ms()))

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
    def is_training(self) -> bool:
        """Whether a trial that was handed out has not ended."""
        return self.n_training > 0

    @property
    def n_training(self) -> int:
        """How many trials were handed out and have not ended."""
        return sum(len(phase.assigned) for phase in self._books.phases)

    @property
    def n_open(self) -> int:
        """How many trials could be handed out now, if there were room for all of them."""
        return count_open(self._books)

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait until the ledger has been told everything; tells whether it has.

        Raises:
            StoreError: If the disk of its database fails.
        """
        try:
            return self._clerk.settle(timeout_s)
        except Exception as error:
            raise as_store_error(error) or error from None

    def has_work(self) -> bool:
        """Tell whether any trial is still to be trained; asks for none."""
        return has_work(self._books)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Give the chosen configuration, or None while the search goes on or if it found none."""
        return self._books.best(arm)

    def entries(self) -> Iterator[Entry]:
        """Give all trials, by arm, phase and number."""
        return self._books.entries()

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Give a trial's stored evaluations by epoch."""
        return self._books.reports_of(key)

    def config(self, entry: Entry) -> TrialConfig:
        """Give the configuration of a trial."""
        return self._books.config(entry)

    def _require_own_database(self) -> None:
        # A trial is in the ledger before it has a folder.
        known = {self._folder.trial(entry.key) for entry in self._books.entries()}
        begun = {path for arm in self._spec.arms for path in self._folder.trials(arm.name)}
        unknown = sorted(begun - known)
        if unknown:
            raise StoreError(
                f"the Optuna database must know every trial of {self._folder.path}, but has not "
                f"heard of {len(unknown)} of them, {unknown[0].relative_to(self._folder.path)} "
                "first; name the database that the study was run with by --database or "
                "CHALLENGER_DATABASE, or put it back where it was."
            )

    def _take_over(self, arm: Arm, phase: Phase) -> None:
        # What a driver stored and did not live to tell the ledger: reports, and ends of trials.
        for number in list(phase.orphans):
            key = phase.entries[number].key
            for report in self.reports_of(key):
                self._tell(key, report)
            end = read_end(self._folder.end(key))
            if end is not None:
                phase.orphans.remove(number)
                self._end(key, end)
            elif arm.training.epochs in phase.reports.get(number, {}):
                phase.orphans.remove(number)
                self.finish(key)

    def _is_full(self, at_most: int | None) -> bool:
        """Tell whether another trial would be one too many, by whoever limits them."""
        limits = (self._spec.resources.max_concurrent, at_most)
        return any(limit is not None and limit <= self.n_training for limit in limits)

    def _orphan(self) -> Entry | None:
        for phase in self._books.phases:
            if phase.orphans:
                return phase.entries[phase.orphans.pop(0)]
        return None

    def _ask(self, question: Question) -> Next | None:
        try:
            self._asking = self._clerk.submit(partial(answer, self._ledger, question))
        except Exception as error:
            return self._refused(error)
        return self._answered(self._asking)

    def _is_told(self) -> bool:
        """Tell whether the ledger takes what it is told; what it refused stops the run."""
        try:
            self._clerk.raise_failure()
        except Exception as error:
            self._refused(error)
        return not self._is_stopping

    def _answered(self, asking: Future[Answer]) -> Next | None:
        if not asking.done():
            return Wait()
        self._asking = None
        try:
            found = asking.result()
        except Exception as error:
            return self._refused(error)
        if found.group_point is not None:
            group = self._books.groups[str(self._spec.arm(found.entry.key.arm).group)]
            group.entries.setdefault(found.group_point.key.number, found.group_point)
        return self._assign(found.entry)

    def _assign(self, entry: Entry) -> Next | None:
        phase = self._books.phase(entry.key.arm, entry.key.phase)
        phase.entries[entry.key.number] = entry
        try:
            folder = self._folder.make_trial(entry.key)
        except StoreError as error:
            phase.orphans.insert(0, entry.key.number)
            self.stop(error)
            return Stop()
        phase.assigned.add(entry.key.number)
        config = self.config(entry)
        self._announce(lambda listener: listener.began(entry, config))
        twin = self._twins.of(entry)
        if twin is None:
            return Assignment(key=entry.key, config=config, folder=folder)
        self._repeat(entry.key, twin.key)
        return None

    def _repeat(self, key: TrialKey, known: TrialKey) -> None:
        """Give a trial the results of another one that trained the same."""
        logger.info("%s has the settings and seeds of %s, and its results.", key, known)
        try:
            # Before its reports: with the last of them it has ended, whoever dies in between.
            copy_maps(self._folder.trial(known), self._folder.trial(key))
        except StoreError as error:
            self.stop(error)
            return
        for report in self.reports_of(known):
            self.report(key, Report(epoch=report.epoch, metrics=dict(report.metrics)))
        self.finish(key)

    def _end(self, key: TrialKey, end: End) -> None:
        """Keep how a trial ended, and tell it; the first end of a trial is kept."""
        if self._books.entry(key).state != "RUNNING":
            return
        try:
            write_end(self._folder.end(key), end)
        except StoreError as error:
            self.stop(error)
            return
        phase = self._books.phase(key.arm, key.phase)
        phase.assigned.discard(key.number)
        phase.entries[key.number] = entry = ended(phase.entries[key.number], end)
        self._twins.note(entry)
        # Before it is told: a trial that is told is not looked at again, whoever dies in between.
        for file in self._folder.trial(key).glob("epoch-*.pt"):
            file.unlink()
        self._tell_end(key, end)
        if key.phase == "search":
            self._settle_groups()
        self._announce(lambda listener: listener.ended(entry, self.reports_of(key)))

    def _tell(self, key: TrialKey, report: StoredReport) -> None:
        if self._spec.metric in report.metrics:
            value = mean(report.metrics[self._spec.metric])
            reached = IntermediateValue(key=key, epoch=report.epoch, value=value)
            # Nobody waits for it: whoever asks or ends a trial next does.
            self._do(partial(self._clerk.post, self._ledger.report, reached))

    def _tell_end(self, key: TrialKey, end: End) -> None:
        self._do(partial(self._clerk.submit, partial(self._ledger.tell, key, end)))

    def _settle_groups(self) -> None:
        for group in self._books.groups.values():
            for key, end in list(group.settled(self._books.search_trial, _now_ms())):
                self._tell_end(key, end)
                group.entries[key.number] = ended(group.entries[key.number], end)

    def _do(self, give: Callable[[], object]) -> None:
        """Give the clerk something to tell the ledger; if he cannot, the run stops."""
        try:
            give()
        except Exception as error:
            self._refused(error)

    def _refused(self, error: Exception) -> Stop:
        store_error = error if isinstance(error, StoreError) else as_store_error(error)
        if store_error is None:
            raise error
        self.stop(store_error)
        return Stop()

    def _announce(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except StoreError as error:
                self.stop(error)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
