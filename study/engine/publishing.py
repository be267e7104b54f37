"""Publishing of a study: its report, and its records in MLflow."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from study.config.run_options import RunOptions
from study.engine.status import running_process_name
from study.records.trial_table import TrialTable
from study.results.build import load_study, load_trial_table
from study.storage.layout import StudyFolder
from study.storage.lease import lease
from study.tracking import mlflow_records, sync_process
from study.tracking.callback import tracked_study
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.report_artifacts import artifact_records

if TYPE_CHECKING:
    from study.report import PageFormat

_log = logging.getLogger(__name__)

# How long the end of a run waits for an MLflow that takes no records.
SYNC_TIMEOUT_S: Final = 20.0


def publish_report(
    table: TrialTable,
    folder: StudyFolder,
    outbox: Outbox,
    tracked: mlflow_records.TrackedStudy,
    *,
    allow_biased: bool = False,
    page_format: PageFormat = "html",
) -> Path:
    """Write the report and queue it for MLflow; returns the page in the given format."""
    from study.report import write_report

    files = write_report(
        table, folder.path, folder.report, allow_biased=allow_biased, page_format=page_format
    )
    outbox.put(mlflow_records.all_records(tracked, table))
    outbox.put(artifact_records(tracked, table, files, folder))
    return files.page


def publish_live_report(name: str, options: RunOptions) -> None:
    """Write the report of a study that runs, and queue what MLflow shows of it.

    Its trials are in MLflow already.

    Raises:
        StudyError: If the study cannot be read, or its report cannot be written.
    """
    from study.report import write_report

    folder = options.storage.study(name)
    tracked = tracked_study(load_study(folder))
    table = load_trial_table(name, options)
    files = write_report(table, folder.path, folder.report)
    if not table.open:
        # The study has ended in the meantime: the driver writes all of it.
        return
    outbox = Outbox(path=folder.outbox)
    outbox.put(mlflow_records.experiment_records(tracked, table))
    outbox.put(artifact_records(tracked, table, files, folder))
    outbox.close()


def start_sync(folder: StudyFolder, options: RunOptions) -> sync_process.SyncProcess:
    """Start the process that writes a study's outbox to MLflow."""
    return sync_process.start(
        folder.outbox,
        folder.path.name,
        options.storage.artifacts,
        options.tracking,
        folder.logs / "sync.log",
    )


def wait_for_sync(sync: sync_process.SyncProcess, console: Console) -> PendingRecords:
    """Wait until MLflow has all records, or takes none for a while."""
    with console.status("syncing with MLflow …") as status:

        def show(pending: PendingRecords) -> None:
            status.update(f"syncing with MLflow … {pending.records} records left")

        return sync.finish(SYNC_TIMEOUT_S, show)


def rebuild_report(
    name: str,
    options: RunOptions,
    console: Console,
    *,
    allow_biased: bool = False,
    page_format: PageFormat = "html",
) -> tuple[TrialTable, Path]:
    """Write the report of a study in its present state, and sync it with MLflow."""
    folder = options.storage.study(name)
    spec = load_study(folder)
    table = load_trial_table(name, options)
    page = publish_report(
        table,
        folder,
        Outbox(path=folder.outbox),
        tracked_study(spec),
        allow_biased=allow_biased,
        page_format=page_format,
    )
    if running_process_name(folder, options.database_url) is None:
        wait_for_sync(start_sync(folder, options), console)
    return table, page


def rebuild_mlflow(name: str, options: RunOptions, console: Console) -> PendingRecords:
    """Write all records of a study to MLflow again, without duplicates.

    Raises:
        BusyError: If a process runs the study.
    """
    folder = options.storage.study(name)
    spec = load_study(folder)
    # Before the lease, which creates a missing database.
    load_trial_table(name, options)
    notify = partial(console.print, markup=False, highlight=False)
    # A process that takes the study over is not disturbed by these writes.
    with lease(folder, options.database_url, _log.warning, notify):
        outbox = Outbox(path=folder.outbox)
        publish_report(load_trial_table(name, options), folder, outbox, tracked_study(spec))
        outbox.requeue_all()
        return wait_for_sync(start_sync(folder, options), console)
