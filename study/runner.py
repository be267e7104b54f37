"""Run a study from its file to its report, or go on with one that was begun."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from cluster.errors import ClusterError
from cluster.session import require_answer
from study.conductor import Conductor
from study.design_check import require_same_points
from study.errors import SpecError, StoreError
from study.executors import EXECUTORS, Surroundings, require_gpus
from study.files import write_whole
from study.options import Options
from study.progress import ProgressListener
from study.review import deliver, publish, start_delivery
from study.rows import trial_table
from study.spec import Arm, StudySpec, check_continuation, parse, with_sweeps
from study.stopping import LostLease, stopping_on_signals
from study.store.clerk import Clerk
from study.store.folder import StudyFolder
from study.store.lease import lease
from study.store.ledger import Ledger, require_file
from study.store.manifest import Manifest
from study.store.provenance import check_provenance, provenance_of, write_provenance
from study.tracking import projection
from study.tracking.context import review_of
from study.tracking.listener import TrackingListener
from study.tracking.outbox import Outbox, Waiting
from study.tracking.reach import require_tracking
from study.trial_table import TrialTable
from trainables.errors import TrainableError

# How long an interrupted run waits for the ledger; what it is not told then, it is told from the
# result files at the next start.
_SETTLE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended.

    Attributes:
        table: All trials.
        is_finished: Whether every trial ended; False if the run was interrupted.
        problems: What went wrong in the study, in sentences; empty if nothing did.
        report: The HTML page, or None if the run was interrupted or no arm has a result.
        waiting: What MLflow has not taken yet.
    """

    table: TrialTable
    is_finished: bool
    problems: tuple[str, ...]
    report: Path | None
    waiting: Waiting


def run(text: str, where: str, options: Options, console: Console) -> RunResult:
    """Run the study of a file, or go on with it if it was begun.

    Args:
        text: The study file.
        where: Its name, for messages.
        options: Where and how.
        console: Where progress is shown.

    Raises:
        SpecError: If the file is wrong, or contradicts the study of that name.
        TrainableError: If data is missing or damaged.
        ClusterError: If there is no Ray, or none that could ever hold a trial.
        BusyError: If another process runs the study.
    """
    spec = parse(text, where)
    folder = options.storage.study(spec.name)
    _check_before_start(spec, folder, where, options)
    options.storage.prepare()
    held = provenance_of((arm.dataset for arm in spec.arms), options.data)
    check_provenance(folder.provenance, held, where)
    is_new = not folder.spec.exists()
    try:
        lost = LostLease()
        say = partial(console.print, markup=False, highlight=False)
        with lease(folder, options.database_url, lost.note, say):
            folder.stop.unlink(missing_ok=True)
            write_whole(folder.spec, text)
            write_provenance(folder.provenance, held)
            spec = with_sweeps(spec, folder)
            write_whole(folder.manifest, _manifest(spec).encode())
            for note in spec.notes:
                console.print(f"note: {note}", markup=False, highlight=False)
            return _run(spec, folder, options, console, lost)
    except ClusterError:
        # A Ray that can hold no trial: nothing was begun, so nothing is left behind.
        if is_new and not (folder.path / "trials").exists():
            shutil.rmtree(folder.path)
        raise


def _check_before_start(
    spec: StudySpec, folder: StudyFolder, where: str, options: Options
) -> None:
    if options.is_job and not folder.spec.exists():
        # One that has begun goes on without, and delivers later.
        require_tracking(options.tracking)
    if folder.spec.exists():
        begun = parse(folder.spec.read_text(encoding="utf-8"), str(folder.spec))
        check_continuation(begun, spec, where)
        if any(any(folder.trials(arm.name)) for arm in spec.arms):
            require_file(options.database_url)
    for arm in spec.arms:
        try:
            arm.dataset.check(options.data)
            for point in arm.points_of_choices():
                arm.trial_config(point, (0,), is_final=False).check_model()
        except TrainableError as error:
            raise SpecError(f"{where}: arm {arm.name}: {error}") from None
    if not folder.spec.exists():
        # One that was begun before may be finished, and then needs no machine.
        if options.executor == "ray" and options.address is not None:
            require_answer(options.address)
        else:
            require_gpus(spec.resources)


def _run(
    spec: StudySpec, folder: StudyFolder, options: Options, console: Console, lost: LostLease
) -> RunResult:
    review = review_of(spec)
    outbox = Outbox(path=folder.outbox)
    progress = ProgressListener(spec, console)
    ledger = Ledger(options.database_url, spec.name, maximise=spec.direction == "maximise")
    courier = start_delivery(folder, options)
    listeners = (TrackingListener(spec, folder, review, outbox), courier, progress)
    try:
        clerk = Clerk(progress.say)
        conductor = Conductor(spec, folder, ledger, listeners, clerk=clerk)
        lost.concerns(conductor)
        require_same_points(conductor.books)
        # Fills in what a crash between result file and outbox has lost.
        outbox.put(projection.everything(review, trial_table(spec, folder, conductor.books)))
        is_finished = _execute(
            conductor, progress, _surroundings(spec, folder, options, progress), options
        )
        table = trial_table(spec, folder, conductor.books)
        report = None
        if is_finished:
            # Points that turned out the same were trained once: now it is known how many.
            write_whole(folder.manifest, _manifest(spec, table).encode())
            if _has_result(table):
                report = publish(table, folder, outbox, review)
            deliver(courier, console)
    finally:
        courier.stop()
    return RunResult(
        table=table,
        is_finished=is_finished,
        problems=_problems(table) if is_finished else (),
        report=report,
        waiting=outbox.waiting(),
    )


def _manifest(spec: StudySpec, table: TrialTable | None = None) -> Manifest:
    def final(arm: Arm) -> int:
        if table is None:
            return spec.final_budget(arm)
        return sum(row.arm == arm.name and row.phase == "final" for row in table.rows)

    return Manifest(
        name=spec.name,
        metric=spec.metric,
        direction=spec.direction,
        search={arm.name: arm.search_budget for arm in spec.arms},
        final={arm.name: final(arm) for arm in spec.arms},
    )


def _surroundings(
    spec: StudySpec, folder: StudyFolder, options: Options, progress: ProgressListener
) -> Surroundings:
    return Surroundings(
        spec=spec,
        data=options.data,
        scratch=folder.ray,
        stop_file=folder.stop,
        address=options.address,
        say=progress.say,
    )


def _execute(
    conductor: Conductor, progress: ProgressListener, surroundings: Surroundings, options: Options
) -> bool:
    """Train what is left to train; False if the user interrupted it.

    Raises:
        StudyError: If the study cannot go on now: its storage fails, or it was taken over.
    """
    with progress.shown(tuple(conductor.entries())), stopping_on_signals(conductor, progress.say):
        try:
            if conductor.has_work():
                EXECUTORS[options.executor](conductor, surroundings)
            if not conductor.is_stopping:
                conductor.settle()
        except KeyboardInterrupt:
            conductor.stop()
    surroundings.stop_file.unlink(missing_ok=True)
    if isinstance(conductor.stop_error, StoreError):
        raise StoreError(
            f"{conductor.stop_error} The study is paused and nothing is lost: the same command "
            "goes on."
        )
    if conductor.stop_error is not None:
        raise conductor.stop_error
    return conductor.settle(_SETTLE_S) and not conductor.has_work()


def _has_result(table: TrialTable) -> bool:
    return any(table.chosen(arm.name) is not None for arm in table.arms)


def _problems(table: TrialTable) -> tuple[str, ...]:
    failed = [row for row in table.rows if row.state == "FAIL"]
    problems = [f"{row.arm}/{row.phase}/{row.number} failed: {row.reason}" for row in failed]
    problems += [
        f"arm {arm.name} has no completed search trial, so nothing was chosen and tested."
        for arm in table.arms
        if arm.best_params is None
    ]
    if not _has_result(table):
        problems.append("no arm has a completed final trial, so there is nothing to report.")
    return tuple(problems)
