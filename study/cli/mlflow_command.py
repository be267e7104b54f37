"""``mlflow``: the tracking server on the results, and the review copy rebuilt."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import (
    database_option,
    options,
    storage_of,
    storage_option,
    tracking_option,
)
from study.cli.outcome import make_console


@click.group("mlflow", invoke_without_command=True)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@storage_option
@click.pass_context
def command(ctx: click.Context, /, port: int, **given: Any) -> int:  # noqa: ANN401 (click's)
    """Open the tracking server on this machine's results until Ctrl-C.

    It answers on this machine only.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from study.sqlite_file import sqlite_url
    from study.tracking.server import serve

    storage = storage_of(given["storage"])
    return serve(sqlite_url(storage.tracking_database), storage.artifacts, port=port)


@command.command("rebuild", short_help="Recreate MLflow's copy of a study.")
@click.argument("name")
@tracking_option
@database_option
@storage_option
def rebuild(name: str, **given: Any) -> int:  # noqa: ANN401
    """Recreate MLflow's copy of the study NAME from the database and the result files."""
    from study.review import rebuild_review

    settings = options(data_root=None, **given)
    waiting = rebuild_review(name, settings, make_console())
    if waiting.entries:
        click.echo(f"MLflow has not taken {waiting.entries} entries: {waiting.last_error}")
        return 1
    click.echo(f"MLflow has everything of study {name!r}.")
    return 0
