"""Run a study from its file to its report, or go on with one that was begun."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cluster.errors import ClusterError
from cluster.session import require_answer
from study.conductor import Conductor
from study.errors import SpecError
from study.executors import EXECUTORS, Surroundings, require_gpus
from study.files import write_whole
from study.progress import ProgressListener
from study.rows import trial_table
from study.spec import Arm, StudySpec, check_continuation, parse, with_sweeps
from study.store.folder import Storage, StudyFolder
from study.store.lease import is_running, lease
from study.store.ledger import Ledger, sqlite_url
from study.store.manifest import Manifest, read_manifest
from study.store.provenance import check_provenance, provenance_of, write_provenance
from study.tracking import delivery, projection
from study.tracking.context import review_of
from study.tracking.listener import TrackingListener
from study.tracking.outbox import Outbox, Waiting
from study.tracking.published import report_entries
from study.trial_table import TrialTable
from trainables.datasets import DataFolders
from trainables.errors import TrainableError

# How long the end of a run waits for an MLflow that takes nothing.
_DELIVERY_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where and how a study runs, as opposed to what it is.

    Attributes:
        storage: Where studies are kept.
        data_root: Absolute path of the data root, or None.
        database: URL of the Optuna database, or None for a file in the storage root.
        tracking_uri: MLflow's address, or None for a database in the storage root.
        executor: ``ray`` or ``inline``.
        address: Address of a running Ray, or None for one of the study's own.
    """

    storage: Storage
    data_root: Path | None = None
    database: str | None = None
    tracking_uri: str | None = None
    executor: str = "ray"
    address: str | None = None

    @property
    def data(self) -> DataFolders:
        """Where data is read from."""
        return DataFolders(root=self.data_root, cache=self.storage.cache)

    @property
    def database_url(self) -> str:
        """URL of the Optuna database."""
        return self.database or self.storage.database_url

    @property
    def tracking(self) -> str:
        """MLflow's address."""
        return self.tracking_uri or sqlite_url(self.storage.tracking_database)


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


def stored_text(folder: StudyFolder) -> str:
    """Read the study file of a study that was begun.

    Raises:
        SpecError: If there is none of that name.
    """
    read_manifest(folder.manifest)
    return folder.spec.read_text(encoding="utf-8")


def load_stored(folder: StudyFolder) -> StudySpec:
    """Read the study of a folder, with the sweeps added at the command line.

    Raises:
        SpecError: If there is none of that name.
    """
    return with_sweeps(parse(stored_text(folder), str(folder.spec)), folder)


def read_table(name: str, options: Options) -> TrialTable:
    """Read all trials of a study as it stands; changes nothing.

    Raises:
        SpecError: If there is none of that name.
    """
    folder = options.storage.study(name)
    spec = load_stored(folder)
    return trial_table(spec, folder, _reader(spec, folder, options))


def rewrite_report(name: str, options: Options, console: Console) -> tuple[TrialTable, Path]:
    """Write a study's report anew, as it stands, and deliver it."""
    folder = options.storage.study(name)
    spec = load_stored(folder)
    table = read_table(name, options)
    page = publish(table, folder, Outbox(path=folder.outbox), review_of(spec))
    if not is_running(folder):
        deliver(start_delivery(folder, options), console)
    return table, page


def rebuild_review(name: str, options: Options, console: Console) -> Waiting:
    """Deliver everything of a study to MLflow again; what is there already stays single.

    Raises:
        BusyError: If a process runs the study.
    """
    folder = options.storage.study(name)
    spec = load_stored(folder)
    with lease(folder):
        outbox = Outbox(path=folder.outbox)
        publish(read_table(name, options), folder, outbox, review_of(spec))
        outbox.reset()
        return deliver(start_delivery(folder, options), console)


def _reader(spec: StudySpec, folder: StudyFolder, options: Options) -> Conductor:
    maximise = spec.direction == "maximise"
    is_named = options.database is not None
    ledger = Ledger(options.database_url, spec.name, maximise=maximise, must_exist=is_named)
    return Conductor(spec, folder, ledger, (), is_reader=True)


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
        with lease(folder):
            write_whole(folder.spec, text)
            write_provenance(folder.provenance, held)
            spec = with_sweeps(spec, folder)
            write_whole(folder.manifest, _manifest(spec).encode())
            for note in spec.notes:
                console.print(f"note: {note}", markup=False, highlight=False)
            return _run(spec, folder, options, console)
    except ClusterError:
        # A Ray that can hold no trial: nothing was begun, so nothing is left behind.
        if is_new and not (folder.path / "trials").exists():
            shutil.rmtree(folder.path)
        raise


def _check_before_start(
    spec: StudySpec, folder: StudyFolder, where: str, options: Options
) -> None:
    if folder.spec.exists():
        begun = parse(folder.spec.read_text(encoding="utf-8"), str(folder.spec))
        check_continuation(begun, spec, where)
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


def _run(spec: StudySpec, folder: StudyFolder, options: Options, console: Console) -> RunResult:
    review = review_of(spec)
    progress = ProgressListener(spec, console)
    ledger = Ledger(options.database_url, spec.name, maximise=spec.direction == "maximise")
    outbox = Outbox(path=folder.outbox)
    listeners = (TrackingListener(spec, folder, review, outbox), progress)
    conductor = Conductor(spec, folder, ledger, listeners)
    # Fills in what a crash between result file and outbox has lost.
    outbox.put(projection.everything(review, trial_table(spec, folder, conductor)))
    courier = start_delivery(folder, options)
    try:
        is_finished = _execute(conductor, progress, _surroundings(spec, folder, options), options)
        table = trial_table(spec, folder, conductor)
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
        return spec.final_budget(arm) if table is None else len(table.select(arm.name, "final"))

    return Manifest(
        name=spec.name,
        metric=spec.metric,
        direction=spec.direction,
        search={arm.name: arm.search_budget for arm in spec.arms},
        final={arm.name: final(arm) for arm in spec.arms},
    )


def publish(
    table: TrialTable, folder: StudyFolder, outbox: Outbox, review: projection.Review
) -> Path:
    """Write the report and queue it for MLflow; gives the HTML page."""
    from study.report import write_report

    files = write_report(table, folder.path, folder.report)
    outbox.put(projection.everything(review, table))
    outbox.put(report_entries(table, files, folder))
    return files.html


def start_delivery(folder: StudyFolder, options: Options) -> delivery.Delivery:
    """Start the process that empties a study's outbox into MLflow."""
    return delivery.start(
        folder.outbox,
        folder.path.name,
        options.storage.artifacts,
        options.tracking,
        folder.logs / "delivery.log",
    )


def deliver(courier: delivery.Delivery, console: Console) -> Waiting:
    """Wait until MLflow has everything, or takes nothing for a while."""
    with console.status("delivering to MLflow …") as status:

        def show(waiting: Waiting) -> None:
            status.update(f"delivering to MLflow … {waiting.entries} entries left")

        return courier.finish(_DELIVERY_PATIENCE_S, show)


def _surroundings(spec: StudySpec, folder: StudyFolder, options: Options) -> Surroundings:
    return Surroundings(spec=spec, data=options.data, scratch=folder.ray, address=options.address)


def _execute(
    conductor: Conductor, progress: ProgressListener, surroundings: Surroundings, options: Options
) -> bool:
    """Train what is left to train; False if the user interrupted it."""
    with progress.shown(tuple(conductor.entries())):
        if conductor.has_work():
            try:
                EXECUTORS[options.executor](conductor, surroundings)
            except KeyboardInterrupt:
                return False
    return not conductor.has_work()


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
