"""Run a study from its file to its report, or go on with one that was begun."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from cluster.errors import ClusterError
from cluster.session import require_reachable
from study.config import Arm, StudySpec, check_continuation, parse, with_sweeps
from study.config.run_options import RunOptions
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import EXECUTORS, ExecutionContext, require_gpus
from study.engine.progress_display import ProgressCallback
from study.engine.publishing import publish_report, start_sync, wait_for_sync
from study.engine.resume_checks import require_same_design_points
from study.engine.signals import LeaseLossHandler, stop_on_signals
from study.records.errors import SpecError, StoreError
from study.records.trial_table import TrialTable
from study.results.build import build_trial_table
from study.storage.atomic_write import write_atomic
from study.storage.layout import Manifest, StudyFolder
from study.storage.lease import lease
from study.storage.provenance import check_provenance, provenance_of, write_provenance
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import TrialStore, require_database_file
from study.tracking import mlflow_records
from study.tracking.callback import TrackingCallback, tracked_study
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.tracking_uri import check_tracking_server
from trainables.errors import TrainableError

# How long an interrupted run waits for the ledger; what it is not told then, it is told from the
# result files at the next start.
_FLUSH_TIMEOUT_S: Final = 2.0


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
    pending: PendingRecords


def run_study(text: str, where: str, options: RunOptions, console: Console) -> RunResult:
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
    _check_start(spec, folder, where, options)
    options.storage.prepare()
    held = provenance_of((arm.dataset for arm in spec.arms), options.data)
    check_provenance(folder.provenance, held, where)
    is_new = not folder.spec.exists()
    try:
        lost = LeaseLossHandler()
        say = partial(console.print, markup=False, highlight=False)
        with lease(folder, options.database_url, lost.note, say):
            folder.stop.unlink(missing_ok=True)
            write_atomic(folder.spec, text)
            write_provenance(folder.provenance, held)
            spec = with_sweeps(spec, folder)
            write_atomic(folder.manifest, _build_manifest(spec).encode())
            for note in spec.notes:
                console.print(f"note: {note}", markup=False, highlight=False)
            return _run_leased(spec, folder, options, console, lost)
    except ClusterError:
        # A Ray that can hold no trial: nothing was begun, so nothing is left behind.
        if is_new and not (folder.path / "trials").exists():
            shutil.rmtree(folder.path)
        raise


def _check_start(spec: StudySpec, folder: StudyFolder, where: str, options: RunOptions) -> None:
    if options.is_job and not folder.spec.exists():
        # One that has begun goes on without, and delivers later.
        check_tracking_server(options.tracking)
    if folder.spec.exists():
        begun = parse(folder.spec.read_text(encoding="utf-8"), str(folder.spec))
        check_continuation(begun, spec, where)
        if any(any(folder.trials(arm.name)) for arm in spec.arms):
            require_database_file(options.database_url)
    for arm in spec.arms:
        try:
            arm.dataset.check(options.data)
            for point in arm.choice_points():
                arm.trial_config(point, (0,), is_final=False).check_model()
        except TrainableError as error:
            raise SpecError(f"{where}: arm {arm.name}: {error}") from None
    if not folder.spec.exists():
        # One that was begun before may be finished, and then needs no machine.
        if options.executor == "ray" and options.address is not None:
            require_reachable(options.address)
        else:
            require_gpus(spec.resources)


def _run_leased(
    spec: StudySpec,
    folder: StudyFolder,
    options: RunOptions,
    console: Console,
    lost: LeaseLossHandler,
) -> RunResult:
    review = tracked_study(spec)
    outbox = Outbox(path=folder.outbox)
    progress = ProgressCallback(spec, console)
    store = TrialStore(options.database_url, spec.name, maximize=spec.direction == "maximize")
    sync = start_sync(folder, options)
    callbacks = (TrackingCallback(spec, folder, review, outbox), sync, progress)
    try:
        writer = StoreWriter(progress.say)
        coordinator = TrialCoordinator(spec, folder, store, callbacks, writer=writer)
        lost.attach(coordinator)
        require_same_design_points(coordinator.state)
        # Fills in what a crash between result file and outbox has lost.
        outbox.put(
            mlflow_records.all_records(review, build_trial_table(spec, folder, coordinator.state))
        )
        is_finished = _execute(
            coordinator, progress, _context(spec, folder, options, progress), options
        )
        table = build_trial_table(spec, folder, coordinator.state)
        report = None
        if is_finished:
            # Points that turned out the same were trained once: now it is known how many.
            write_atomic(folder.manifest, _build_manifest(spec, table).encode())
            if _has_result(table):
                report = publish_report(table, folder, outbox, review)
            wait_for_sync(sync, console)
    finally:
        sync.stop()
    return RunResult(
        table=table,
        is_finished=is_finished,
        problems=_problems(table) if is_finished else (),
        report=report,
        pending=outbox.pending(),
    )


def _build_manifest(spec: StudySpec, table: TrialTable | None = None) -> Manifest:
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


def _context(
    spec: StudySpec, folder: StudyFolder, options: RunOptions, progress: ProgressCallback
) -> ExecutionContext:
    return ExecutionContext(
        spec=spec,
        data=options.data,
        scratch=folder.ray,
        stop_file=folder.stop,
        address=options.address,
        say=progress.say,
    )


def _execute(
    coordinator: TrialCoordinator,
    progress: ProgressCallback,
    context: ExecutionContext,
    options: RunOptions,
) -> bool:
    """Train what is left to train; False if the user interrupted it.

    Raises:
        StudyError: If the study cannot go on now: its storage fails, or it was taken over.
    """
    with progress.shown(tuple(coordinator.records())), stop_on_signals(coordinator, progress.say):
        try:
            if coordinator.has_work():
                EXECUTORS[options.executor](coordinator, context)
            if not coordinator.is_stopping:
                coordinator.flush()
        except KeyboardInterrupt:
            coordinator.stop()
    context.stop_file.unlink(missing_ok=True)
    if isinstance(coordinator.stop_error, StoreError):
        raise StoreError(
            f"{coordinator.stop_error} The study is paused and nothing is lost: the same command "
            "goes on."
        )
    if coordinator.stop_error is not None:
        raise coordinator.stop_error
    return coordinator.flush(_FLUSH_TIMEOUT_S) and not coordinator.has_work()


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
