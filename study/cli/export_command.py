"""``export``: the trial table for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from study.cli.options import database_option, options, storage_option

if TYPE_CHECKING:
    from study.export import Per

_Format: TypeAlias = Literal["csv", "parquet"]


@click.command("export")
@click.argument("name")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet"]),
    help="Kind of file; default: as FILE ends, else csv.",
)
@click.option(
    "--per",
    type=click.Choice(["trial", "replica", "report"]),
    default="trial",
    show_default=True,
    help="What a row stands for: a trial with means over its replicas, a replica at the last "
    "evaluation, or a replica at every evaluation.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Where to write; '-' writes CSV to standard output. Default: NAME-trials.csv and the "
    "like.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@database_option
@storage_option
def command(
    name: str,
    file_format: _Format | None,
    per: Per,
    output: str | None,
    force: bool,
    **given: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Export the trials of the study NAME as a table for pandas and other programs.

    A study that runs is exported as it stands.
    """
    from study.export import export_columns, to_csv, to_frame, to_parquet
    from study.stored import read_table

    kind = file_format or _format_of(output)
    path = None if output == "-" else Path(output or f"{name}-{per}s.{kind}")
    _check_place(path, kind, force)
    table = read_table(name, options(data_root=None, tracking_uri=None, **given))
    frame = to_frame(export_columns(table, per), table)
    if path is None:
        click.echo(to_csv(frame), nl=False)
        return 0
    _write(path, to_csv(frame) if kind == "csv" else to_parquet(frame))
    click.echo(f"{len(frame)} rows: {path}")
    return 0


def _format_of(output: str | None) -> _Format:
    suffix = "" if output is None else Path(output).suffix.lower()
    if suffix in (".parquet", ".pq"):
        return "parquet"
    if output in (None, "-") or suffix == ".csv":
        return "csv"
    raise click.UsageError(
        f"{output} must end in .csv or .parquet, or its format be named; give --format csv or "
        "--format parquet."
    )


def _check_place(path: Path | None, kind: _Format, force: bool) -> None:
    if path is None and kind == "parquet":
        raise click.UsageError("'-' takes CSV alone, got --format parquet; give a FILE with -o.")
    if path is not None and path.exists() and not force:
        raise click.UsageError(
            f"{path} must not exist, but does; replace it with --force, or give another FILE "
            "with -o."
        )


def _write(path: Path, content: str | bytes) -> None:
    from study.files import write_whole

    write_whole(path, content)
