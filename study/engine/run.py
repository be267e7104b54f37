"""A run of a study: from its study file to its report, or from where an earlier run stopped."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from cluster.errors import ClusterError
from cluster.session import require_reachable
from study.config.arm import Arm
from study.config.continuation import check_continuation
from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.config.sweeps import with_sweeps
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import EXECUTORS, require_gpus
from study.engine.live_report import LiveReport
from study.engine.progress_display import ProgressCallback
from study.engine.protocol import ExecutionContext
from study.engine.publishing import publish_report, start_sync, wait_for_sync
from study.engine.resume_checks import require_same_design_points
from study.engine.signals import LeaseLossHandler, stop_on_signals
from study.records.errors import SpecError, StoreError
from study.records.trial_table import TrialTable
from study.results.build import build_trial_table, read_study_text
from study.results.state import searched_groups
from study.storage.atomic_write import write_atomic
from study.storage.database import require_database_file
from study.storage.json_record import DamagedFileError, checksum
from study.storage.layout import Manifest, StudyFolder, read_manifest, write_manifest
from study.storage.lease import lease
from study.storage.plugin_copies import check_plugins, save_plugins
from study.storage.provenance import check_provenance, provenance_of, write_provenance
from study.storage.sqlite import checkpoint, network_file_system, sqlite_path
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import TrialStore
from study.tracking import mlflow_records
from study.tracking.callback import TrackingCallback, tracked_study
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.tracking_uri import check_tracking_server
from trainables.conformance import check_config
from trainables.datasets import DataFolders
from trainables.datasets.user_paths import save_study_folder
from trainables.errors import TrainableError

# How long an interrupted run waits for the trial store; the rest is written from the result files
# at the next start.
_FLUSH_TIMEOUT_S: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Result of a run.

    Attributes:
        table: All trials.
        is_finished: Whether every trial ended; False if the run was interrupted.
        problems: Problems of a finished study, in sentences.
        report: The HTML page, or None if the run was interrupted or no arm has a result.
        pending: Records not yet in MLflow.
    """

    table: TrialTable
    is_finished: bool
    problems: tuple[str, ...]
    report: Path | None
    pending: PendingRecords


def run_study(
    text: str, where: str, options: RunOptions, console: Console, plugins: Path | None = None
) -> RunResult:
    """Run the study of a file, or continue it if it was started.

    Args:
        text: The study file.
        where: Its name, for messages.
        options: Options of the command line.
        console: Shows the progress.
        plugins: Folder of its plug-in files, or None if it has none.

    Raises:
        SpecError: If the file is wrong, or contradicts the study of that name.
        TrainableError: If data is missing or damaged.
        ClusterError: If there is no Ray, or none that could ever hold a trial.
        BusyError: If another process runs the study.
    """
    spec = parse(text, where, plugins)
    options.require_separate_databases()
    folder = options.storage.study(spec.name)
    is_new = not folder.spec.exists()
    if is_new and options.is_job:
        # A study that was started runs without MLflow, and syncs later.
        check_tracking_server(options.tracking)
    if not is_new:
        _check_continuation(spec, text, folder, where, options.database_url)
    check_arms(spec, options.data, where)
    if is_new:
        # An older one may be finished, and then needs no machine.
        _check_machine(spec, options)
    options.storage.prepare()
    provenance = provenance_of((arm.dataset for arm in spec.arms), options.data)
    check_provenance(folder.provenance, provenance, where)
    loss = LeaseLossHandler()
    notify = partial(console.print, markup=False, highlight=False)
    try:
        with lease(folder, options.database_url, loss.on_lost, notify):
            folder.stop.unlink(missing_ok=True)
            save_plugins(spec.plugins, folder.plugins)
            save_study_folder(folder.plugins, plugins)
            write_provenance(folder.provenance, provenance)
            spec = with_sweeps(spec, folder)
            for note in (*spec.notes, *_network_notes(options.database_url, folder)):
                notify(f"note: {note}")
            started = _Run(spec=spec, text=text, folder=folder, options=options, console=console)
            result = started.run(loss)
        if result.is_finished:
            _complete_databases(folder, options.database_url)
        return result
    except (ClusterError, StoreError):
        # A Ray that can hold no trial, or rows of a study whose folder is gone: nothing was
        # started, so nothing is left behind.
        if is_new and not (folder.path / "trials").exists():
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _network_notes(url: str, folder: StudyFolder) -> Iterator[str]:
    """Yield what is to be said of SQLite files on a file system over a network."""
    path = sqlite_path(url)
    if path is not None and (kind := network_file_system(path)):
        yield (
            f"{path} is on a network file system ({kind}), on which SQLite may lose or damage "
            "rows; name a PostgreSQL by --database, such as that of 'cluster up --postgres', or a "
            "file on a local disk."
        )
    elif kind := network_file_system(folder.outbox):
        yield (
            f"{folder.outbox}, the queue of records for MLflow, is on a network file system "
            f"({kind}); should it be damaged, 'repair {folder.path.name}' makes it again."
        )


def _complete_databases(folder: StudyFolder, url: str) -> None:
    """Write what is in write-ahead logs into the databases: their files alone are then whole."""
    for path in (sqlite_path(url), folder.outbox):
        try:
            if path is not None and not checkpoint(path):
                _log.info("%s is in use, and keeps its write-ahead log.", path)
        except sqlite3.Error as error:
            raise StoreError(
                f"{path} must be writable when its study ends, but: {error}; free some space. The "
                "results are whole: the same command goes on."
            ) from None


def _check_continuation(
    spec: StudySpec, text: str, folder: StudyFolder, where: str, url: str
) -> None:
    check_plugins(spec.plugins, folder.plugins, where)
    if folder.keys():
        require_database_file(url)
    try:
        if read_manifest(folder.manifest).study == checksum(text.encode()):
            # The stored file may be damaged, and is written again.
            return
        stored = read_study_text(folder)
    except DamagedFileError:
        # The manifest is written again.
        stored = folder.read_spec()
    check_continuation(parse(stored, str(folder.spec), folder.plugins), spec, where)


def check_arms(spec: StudySpec, data: DataFolders, where: str) -> None:
    """Check data, models and plug-ins of all arms, before anything is trained.

    Raises:
        SpecError: Naming the first arm of which something does not fit.
    """
    for arm in spec.arms:
        problems: list[str] = []
        try:
            arm.dataset.check(data)
            for point in arm.choice_points():
                config = arm.trial_config(point, (0,), is_final=False)
                config.check_model()
                problems += check_config(config, data) if spec.plugins else ()
        except TrainableError as error:
            raise SpecError(f"{where}: arm {arm.name}: {error}") from None
        if problems:
            raise SpecError(f"{where}: arm {arm.name}: {' '.join(dict.fromkeys(problems))}")


def _check_machine(spec: StudySpec, options: RunOptions) -> None:
    if options.executor == "ray" and options.address is not None:
        require_reachable(options.address)
    else:
        require_gpus(spec.resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run whose lease is held."""

    spec: StudySpec
    # The study file.
    text: str
    folder: StudyFolder
    options: RunOptions
    console: Console

    def run(self, loss: LeaseLossHandler) -> RunResult:
        """Train what is left to train, and publish the results."""
        tracked = tracked_study(self.spec)
        outbox = Outbox(path=self.folder.outbox)
        progress = ProgressCallback(self.spec, self.console)
        sync = start_sync(self.folder, self.options)
        live = LiveReport(self.spec, self.folder, self.options, progress.notify)
        tracking = TrackingCallback(self.spec, self.folder, tracked, sync.put)
        callbacks = (tracking, progress, live)
        try:
            coordinator = TrialCoordinator(
                self.spec,
                self.folder,
                self._open_store(),
                callbacks,
                writer=StoreWriter(progress.notify),
            )
            loss.attach(coordinator)
            require_same_design_points(coordinator.state)
            # Adds what a crash between result file and outbox has lost.
            outbox.put(mlflow_records.all_records(tracked, self._table(coordinator)))
            # Not before: a study that is refused stays as it is.
            write_atomic(self.folder.spec, self.text, is_durable=True)
            write_manifest(self.folder.manifest, make_manifest(self.spec, self.text))
            is_finished = self._execute(coordinator, progress)
            live.stop()
            table, report = self._table(coordinator), None
            if is_finished:
                # Points that turned out equal were trained once: now their number is known.
                manifest = make_manifest(self.spec, self.text, table)
                write_manifest(self.folder.manifest, manifest)
                if _has_result(table):
                    self.console.print("writing the report …", highlight=False)
                    report = publish_report(table, self.folder, outbox, tracked)
                wait_for_sync(sync, self.console)
        finally:
            live.stop()
            sync.stop()
        return RunResult(
            table=table,
            is_finished=is_finished,
            problems=_problems(table) if is_finished else (),
            report=report,
            pending=outbox.pending(),
        )

    def _open_store(self) -> TrialStore:
        maximize = self.spec.direction == "maximize"
        return TrialStore(
            self.options.database_url, self.spec.name, maximize=maximize, metric=self.spec.metric
        )

    def _table(self, coordinator: TrialCoordinator) -> TrialTable:
        return build_trial_table(self.spec, self.folder, coordinator.state)

    def _execute(self, coordinator: TrialCoordinator, progress: ProgressCallback) -> bool:
        """Train what is left to train; False if the user interrupted it.

        Raises:
            StudyError: If the study cannot continue now: its storage fails, or it was taken over.
        """
        context = ExecutionContext(
            spec=self.spec,
            data=self.options.data,
            scratch=self.folder.ray,
            plugins=self.folder.plugins,
            stop_file=self.folder.stop,
            address=self.options.address,
            notify=progress.notify,
        )
        shown = progress.shown(tuple(coordinator.state.records()))
        with shown, stop_on_signals(coordinator, progress.notify):
            try:
                if coordinator.has_work():
                    EXECUTORS[self.options.executor](coordinator, context)
                if not coordinator.is_stopping:
                    coordinator.flush()
            except KeyboardInterrupt:
                coordinator.stop()
        try:
            self.folder.stop.unlink(missing_ok=True)
        except OSError as error:
            coordinator.stop(self.folder.write_error(error))
        reason = coordinator.stop_error
        if isinstance(reason, StoreError):
            raise StoreError(
                f"{reason} The study is paused and nothing is lost: the same command goes on."
            )
        if reason is not None:
            raise reason
        return coordinator.flush(_FLUSH_TIMEOUT_S) and not coordinator.has_work()


def make_manifest(spec: StudySpec, text: str, table: TrialTable | None = None) -> Manifest:
    """Return the manifest of a study.

    Args:
        spec: The study.
        text: Its study file.
        table: Its trials, once all have ended.
    """

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
        study=checksum(text.encode()),
        groups=searched_groups(spec),
    )


def _has_result(table: TrialTable) -> bool:
    return any(table.chosen(arm.name) is not None for arm in table.arms)


def _problems(table: TrialTable) -> tuple[str, ...]:
    failed = [row for row in table.rows if row.state == "FAIL"]
    problems = [f"{row.arm}/{row.phase}/{row.number} failed: {row.reason}" for row in failed]
    problems += [
        f"arm {arm.like or arm.name} has no completed search trial, so nothing was chosen"
        + (" and tested." if arm.like is None else f" that arm {arm.name} could take.")
        for arm in table.arms
        if arm.best_params is None
    ]
    if not _has_result(table):
        problems.append("no arm has a completed final trial, so there is nothing to report.")
    return tuple(problems)
