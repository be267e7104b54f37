"""``cluster up``: Ray, MLflow and PostgreSQL on this machine, as a service that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from study.cli.options import own_command, storage_of, storage_option

if TYPE_CHECKING:
    from cluster.service.starting import Started
    from study.store.folder import Storage

_PORT: Final = click.IntRange(1024, 65535)
# Parameter to the field of a wish that it sets.
_FIELDS: Final = {
    "host": "host",
    "cpus": "cpus",
    "gpus": "gpus",
    "postgres": "has_postgres",
    "port": "port",
    "dashboard_port": "dashboard_port",
    "mlflow_port": "mlflow_port",
    "data_root": "data_root",
}


@click.command("up", short_help="Start Ray, MLflow and PostgreSQL on this machine.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Address of this machine at which others may join and submit; default: this machine "
    "alone.",
)
@click.option(
    "--cpus", type=click.IntRange(min=0), help="CPUs for trials on this machine; default: all."
)
@click.option(
    "--gpus", type=click.IntRange(min=0), help="GPUs for trials on this machine; default: all."
)
@click.option(
    "--postgres/--no-postgres",
    default=False,
    help="Keep trials in a PostgreSQL of the service's own instead of SQLite.",
)
@click.option("--port", type=_PORT, default=6379, show_default=True, help="Port of Ray's head.")
@click.option(
    "--dashboard-port",
    type=_PORT,
    default=8265,
    show_default=True,
    help="Port of Ray's dashboard, to which studies are submitted.",
)
@click.option(
    "--mlflow-port",
    type=_PORT,
    default=5000,
    show_default=True,
    help="Port of MLflow's server.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    envvar="CHALLENGER_DATA",
    help="Folder with datasets; read only.",
)
@storage_option
@click.pass_context
def command(ctx: click.Context, /, storage: Path, **given: Any) -> int:  # noqa: ANN401 (click's)
    """Start Ray, MLflow and, if wished, PostgreSQL on this machine as a service.

    It goes on when this command has ended, until 'cluster down'. What runs already is left as it
    is, and a part that died is started again. Everything asks for Ray's token or a password
    where others can reach it.
    """
    from cluster.service import ServiceFolder, Wish, require_own_address, start_service

    place = storage_of(storage)
    if given["host"] is not None:
        given["host"] = require_own_address(given["host"])
    if given["data_root"] is not None:
        given["data_root"] = given["data_root"].absolute()
    place.prepare()
    wish = Wish(
        storage=place.root,
        tracking_database=place.tracking_database,
        artifacts=place.artifacts,
        **{field: given[name] for name, field in _FIELDS.items()},
    )
    expressly = {field for name, field in _FIELDS.items() if _is_given(ctx, name)}
    started = start_service(ServiceFolder(root=place.service), wish, expressly, _progress)
    for line in _lines(started, place):
        click.echo(line)
    return 0


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    )


def _progress(line: str) -> None:
    click.echo(f"… {line}", err=True)


def _lines(started: Started, place: Storage) -> list[str]:
    setting = started.setting
    first = "The service runs." if started.parts else "The service runs already."
    return [
        first,
        "",
        f"  Ray        {setting.head}",
        f"  dashboard  {setting.dashboard}",
        f"  MLflow     {setting.mlflow}",
        f"  database   {'PostgreSQL' if setting.wish.has_postgres else 'SQLite'}",
        f"  results    {place.root}",
        "",
        "Submit a study:",
        f"  challenger-study submit STUDY.yaml --address {setting.dashboard}",
        *_joining(started),
        "See and end it:",
        f"  {own_command('cluster status', place)}",
        f"  {own_command('cluster down', place)}",
    ]


def _joining(started: Started) -> list[str]:
    from cluster.auth import require_token

    setting = started.setting
    if not setting.is_open:
        return ["Only this machine can reach it; 'cluster up --host ADDRESS' lets others join."]
    token = require_token().file
    where = "the token of RAY_AUTH_TOKEN" if token is None else f"the file {token}"
    return [
        f"Others need {where} as ~/.ray/auth_token with mode 600. Let a machine join that sees",
        f"{setting.wish.storage} at the same path:",
        # Ray's monitor of logs has nobody to show them to, and outlives a node that was cut off.
        f"  RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --address={setting.head} "
        "--include-log-monitor=false",
        f"MLflow asks for user 'admin' and the password in {setting.folder.passwords}.",
    ]
