"""``status``: how far a study is. Loads neither torch nor Ray."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from study.cli.options import database_option, storage_of, storage_option
from study.cli.outcome import make_console
from study.cli.remote import ask_cluster, cluster_option, sent_places

if TYPE_CHECKING:
    from study.status import Status


@click.command("status")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@cluster_option(required=False)
@database_option
@storage_option
def command(
    name: str, as_json: bool, address: str | None, database: str | None, storage: Path
) -> int:
    """Show trials by state, best so far, failures with reasons, rate and time left of NAME."""
    status = _here(name, database, storage) if address is None else _there(name, address)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(status), indent=2))
        return 0
    _print(status)
    return 0


def _here(name: str, database: str | None, storage: Path) -> Status:
    from study.status import study_status

    place = storage_of(storage)
    return study_status(
        place.study(name), database or place.database_url, must_exist=database is not None
    )


def _there(name: str, address: str) -> Status:
    from study.status import read_status

    return read_status(ask_cluster(address, ["status", name, "--json", *sent_places()]))


def _print(status: Status) -> None:
    console = make_console()
    runner = "" if status.runner is None else f" ({status.runner})"
    console.print(f"study {status.study}: {status.activity}{runner}", highlight=False)
    table = Table(
        "arm", "phase", "asked", "running", "complete", "pruned", "failed", f"best {status.metric}"
    )
    for lane in status.lanes:
        best = "–" if lane.best is None else f"{lane.best:.4f}"
        table.add_row(
            lane.arm,
            lane.phase,
            f"{lane.asked}/{lane.total}",
            str(lane.running),
            str(lane.complete),
            str(lane.pruned),
            str(lane.failed),
            best,
        )
    console.print(table)
    for failure in status.failures:
        console.print(f"failed: {failure}", markup=False, highlight=False, soft_wrap=True)
    if status.trials_per_hour is not None:
        left = "" if status.seconds_left is None else f", about {status.seconds_left:.0f} s left"
        console.print(f"{status.trials_per_hour:.0f} trials per hour{left}", highlight=False)
    if status.waiting_entries:
        reason = f" (last error: {status.tracking_error})" if status.tracking_error else ""
        console.print(
            f"{status.waiting_entries} entries with {status.waiting_points} metric values wait "
            f"for MLflow{reason}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
