"""Commands on a study's results: report, export, mlflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import click

from study.cli.cluster_client import cluster_option, forwarded_options, run_on_cluster
from study.cli.console import (
    is_private_output,
    make_console,
    show_results,
    tracking_location,
)
from study.cli.options import (
    check_output,
    database_option,
    force_option,
    make_storage,
    storage_option,
    study_options,
    tracking_option,
)

if TYPE_CHECKING:
    from study.report import PageFormat
    from study.results.export import Per
    from study.results.trained_models import ReplicaChoice
    from study.tracking.mlflow_server import Page


@click.command("report")
@click.argument("name")
@click.option(
    "--allow-biased",
    is_flag=True,
    help="Show importances over the whole space even where the sampler used results; marked as "
    "biased.",
)
@click.option(
    "--format",
    "page_format",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="Print the path of the page, or also write the report as Markdown for a pull request "
    "and print its path.",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --address: folder for a copy of the report; default: NAME-report.",
)
@click.option("--packed", is_flag=True, hidden=True, help="Print the report's files as text.")
@cluster_option(required=False)
@tracking_option
@database_option
@storage_option
def report_command(
    name: str,
    *,
    allow_biased: bool,
    page_format: PageFormat,
    target: Path | None,
    packed: bool,
    address: str | None,
    **params: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Write the report of the study NAME and send it to MLflow.

    The report of a running or interrupted study names the missing parts. With --address the
    report is written on the cluster and copied here.
    """
    if address is not None:
        return _fetch_report(
            name, address, target or Path(f"{name}-report"), allow_biased, page_format
        )
    from study.engine.publishing import rebuild_report

    settings = study_options(data_root=None, **params)
    console = make_console()
    table, page = rebuild_report(
        name, settings, console, allow_biased=allow_biased, page_format=page_format
    )
    show_results(table, console)
    click.echo(f"report: {page}")
    click.echo(f"mlflow: {tracking_location(settings)}")
    if packed:
        from study.remote.archive import pack

        click.echo(pack(page.parent))
    return 0


def _fetch_report(
    name: str, address: str, folder: Path, allow_biased: bool, page_format: str
) -> int:
    """Write the report on the cluster and copy it here."""
    from study.remote.archive import unpack, without_archive

    options = ["--allow-biased"] if allow_biased else []
    options += ["--format", page_format, *forwarded_options()]
    output = run_on_cluster(address, ["report", name, "--packed", *options])
    unpack(output, folder)
    click.echo(without_archive(output).strip())
    click.echo(f"copy: {folder / 'report.html'}")
    return 0


_Format: TypeAlias = Literal["csv", "parquet"]


@click.command("export")
@click.argument("name")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet"]),
    help="File format; default: by the suffix of FILE, else csv.",
)
@click.option(
    "--per",
    type=click.Choice(["trial", "replica", "report"]),
    default="trial",
    show_default=True,
    help="Unit of a row: a trial with means over its replicas, a replica at the last "
    "evaluation, or a replica at every evaluation.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Output file; '-' writes CSV to standard output. Default: such as NAME-trials.csv.",
)
@force_option
@database_option
@storage_option
def export_command(
    name: str,
    file_format: _Format | None,
    per: Per,
    output: str | None,
    force: bool,
    **params: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Export the trials of the study NAME as a table for pandas and other programs.

    The study may be running.
    """
    from study.records.frames import to_csv
    from study.results.build import load_trial_table
    from study.results.export import export_columns, to_frame, to_parquet
    from study.storage.atomic_write import write_atomic

    kind = file_format or _format_of(output)
    path = None if output == "-" else Path(output or f"{name}-{per}s.{kind}")
    if path is None and kind == "parquet":
        raise click.UsageError("'-' supports CSV only, got --format parquet; name a FILE with -o.")
    check_output(path, force)
    table = load_trial_table(name, study_options(data_root=None, tracking_uri=None, **params))
    frame = to_frame(export_columns(table, per), table)
    if path is None:
        click.echo(to_csv(frame), nl=False)
        return 0
    write_atomic(path, to_csv(frame) if kind == "csv" else to_parquet(frame))
    click.echo(f"{len(frame)} rows: {path}")
    return 0


@click.command("export-model")
@click.argument("name")
@click.option("--arm", required=True, metavar="ARM", help="Arm whose chosen configuration it is.")
@click.option(
    "--replica",
    default="best",
    show_default=True,
    metavar="best|mean|N",
    help="The replica with the best validation objective, the mean probabilities of all, or the "
    "replica of an index from 0.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Output file. Default: such as NAME-ARM.pt2.",
)
@force_option
@database_option
@storage_option
def export_model_command(
    name: str,
    arm: str,
    replica: str,
    output: Path | None,
    force: bool,
    **params: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Export a trained network of the study NAME as a torch.export program.

    It runs without this package: torch.export.load(FILE).module()(batch) returns logits. Images
    are taken as bytes from 0 to 255.
    """
    from study.results.trained_models import export_model

    if replica not in ("best", "mean") and not replica.isdecimal():
        raise click.UsageError(f"--replica must be best, mean or an index, got {replica!r}.")
    path = output or Path(f"{name}-{arm}.pt2")
    check_output(path, force)
    options = study_options(data_root=None, tracking_uri=None, **params)
    which = cast("ReplicaChoice", replica if replica in ("best", "mean") else int(replica))
    export_model(name, options, arm, path, which)
    click.echo(f"model: {path}")
    return 0


def _format_of(output: str | None) -> _Format:
    suffix = "" if output is None else Path(output).suffix.lower()
    if suffix in (".parquet", ".pq"):
        return "parquet"
    if output in (None, "-") or suffix == ".csv":
        return "csv"
    raise click.UsageError(
        f"{output} must end in .csv or .parquet; use --format csv or --format parquet for other "
        "names."
    )


@click.group("mlflow", invoke_without_command=True)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@storage_option
@click.pass_context
def mlflow_command(ctx: click.Context, /, port: int, **params: Any) -> int:  # noqa: ANN401 (click's)
    """Run the tracking server on this machine's results until Ctrl-C.

    It listens on this machine only and requires a password; the printed links contain it.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from study.storage.sqlite import sqlite_url
    from study.tracking.mlflow_server import serve

    storage = make_storage(params["storage"])
    return serve(
        sqlite_url(storage.tracking_database),
        storage.artifacts,
        storage.service,
        port=port,
        announce=_announce,
    )


def _announce(page: Page) -> None:
    """Print a page's address, with the password where nobody else reads it."""
    is_ours = is_private_output()
    if page.name:
        click.echo(f"{page.name}: {page.login if is_ours else page.address}")
        return
    click.echo(page.login if is_ours else page.address)
    if not is_ours:
        click.echo(f"The link in {page.file} needs no password.", err=True)


@mlflow_command.command("rebuild", short_help="Recreate MLflow's copy of a study.")
@click.argument("name")
@tracking_option
@database_option
@storage_option
def rebuild_command(name: str, **params: Any) -> int:  # noqa: ANN401
    """Recreate MLflow's copy of the study NAME from the database and the result files."""
    from study.engine.publishing import rebuild_mlflow

    settings = study_options(data_root=None, **params)
    pending = rebuild_mlflow(name, settings, make_console())
    if pending.records:
        click.echo(f"MLflow has not taken {pending.records} records: {pending.last_error}")
        return 1
    click.echo(f"MLflow has everything of study {name!r}.")
    return 0
