"""A study's report and its review copy in MLflow: written, queued, delivered."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from study.options import Options
from study.status import running_process
from study.store.folder import StudyFolder
from study.store.lease import lease
from study.stored import load_stored, read_table
from study.tracking import delivery, projection
from study.tracking.context import review_of
from study.tracking.outbox import Outbox, Waiting
from study.tracking.published import report_entries
from study.trial_table import TrialTable

if TYPE_CHECKING:
    from study.report import PageFormat

_log = logging.getLogger(__name__)

# How long the end of a run waits for an MLflow that takes nothing.
DELIVERY_PATIENCE_S: Final = 20.0


def publish(
    table: TrialTable,
    folder: StudyFolder,
    outbox: Outbox,
    review: projection.Review,
    *,
    insist: bool = False,
    page_format: PageFormat = "html",
) -> Path:
    """Write the report and queue it for MLflow; gives the page in the format asked for."""
    from study.report import write_report

    files = write_report(table, folder.path, folder.report, insist=insist, page_format=page_format)
    outbox.put(projection.everything(review, table))
    outbox.put(report_entries(table, files, folder))
    return files.page


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

        return courier.finish(DELIVERY_PATIENCE_S, show)


def rewrite_report(
    name: str,
    options: Options,
    console: Console,
    *,
    insist: bool = False,
    page_format: PageFormat = "html",
) -> tuple[TrialTable, Path]:
    """Write a study's report anew, as it stands, and deliver it."""
    folder = options.storage.study(name)
    spec = load_stored(folder)
    table = read_table(name, options)
    page = publish(
        table,
        folder,
        Outbox(path=folder.outbox),
        review_of(spec),
        insist=insist,
        page_format=page_format,
    )
    if running_process(folder, options.database_url) is None:
        deliver(start_delivery(folder, options), console)
    return table, page


def rebuild_review(name: str, options: Options, console: Console) -> Waiting:
    """Deliver everything of a study to MLflow again; what is there already stays single.

    Raises:
        BusyError: If a process runs the study.
    """
    folder = options.storage.study(name)
    spec = load_stored(folder)
    # Before the lease, which makes a database that is missing.
    read_table(name, options)
    say = partial(console.print, markup=False, highlight=False)
    # Nothing that it writes would be in the way of one that took over.
    with lease(folder, options.database_url, _log.warning, say):
        outbox = Outbox(path=folder.outbox)
        publish(read_table(name, options), folder, outbox, review_of(spec))
        outbox.reset()
        return deliver(start_delivery(folder, options), console)
