"""``cluster``: the group, and its commands up, down and render."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from cluster.errors import ClusterError
from study.cli.console import is_private_output
from study.cli.lazy_group import LazyGroup
from study.cli.options import (
    check_output,
    command_line,
    data_root_option,
    force_option,
    make_storage,
    storage_option,
)
from study.storage.atomic_write import write_atomic

if TYPE_CHECKING:
    from cluster.service.start import StartResult
    from study.storage.layout import StorageRoot

# Sub-command to the first line of its help.
_COMMANDS: Final = {
    "check": "Check that other accounts cannot reach the service.",
    "down": "Stop the service of 'cluster up'.",
    "queue": "Show how several studies share a cluster.",
    "render": "Write a launch file for a Ray cluster: Kubernetes, Slurm, Compose, ray up.",
    "status": "Show whether the service answers, its nodes and running studies.",
    "up": "Start Ray, MLflow and PostgreSQL on this machine.",
}


_MODULES: Final = {
    "check": "study.cli.cluster_status_commands:cluster_check_command",
    "down": "study.cli.cluster_commands:down_command",
    "queue": "study.cli.cluster_status_commands:queue_command",
    "render": "study.cli.cluster_commands:render_command",
    "status": "study.cli.cluster_status_commands:cluster_status_command",
    "up": "study.cli.cluster_commands:up_command",
}


@click.group("cluster", cls=LazyGroup, summaries=_COMMANDS, modules=_MODULES)
def cluster_command() -> None:
    """Set up the Ray cluster that studies run on."""


_PORT: Final = click.IntRange(1024, 65535)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
# Parameter to its field of the service's configuration.
_CONFIG_FIELDS: Final = {
    "postgres": "has_postgres",
    **{
        name: name
        for name in (
            *("host", "cpus", "gpus", "port", "dashboard_port", "mlflow_port", "data_root"),
            *("tls_cert", "tls_key", "tls_ca"),
        )
    },
}


@click.command("up", short_help="Start Ray, MLflow and PostgreSQL on this machine.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Address of this machine for other machines to join and submit; default: this machine "
    "only.",
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
    help="Store trials in the service's own PostgreSQL instead of SQLite.",
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
    "--tls-cert",
    type=_FILE,
    help="Certificate (PEM) of this machine: Ray's processes then speak TLS among themselves.",
)
@click.option("--tls-key", type=_FILE, help="Its key (PEM), of mode 600.")
@click.option("--tls-ca", type=_FILE, help="Certificate (PEM) of who signed it.")
@data_root_option
@storage_option
@click.pass_context
def up_command(ctx: click.Context, /, storage: Path, **params: Any) -> int:  # noqa: ANN401 (click's)
    """Start Ray, MLflow and optionally PostgreSQL on this machine as a service.

    The service runs until 'cluster down'. Running components are not touched, and a component
    that died is started again. Every component requires Ray's token or a password; the printed
    link of MLflow contains the owner's.
    """
    from cluster.postgres import server_account
    from cluster.service import ServiceConfig, ServiceFolder, require_own_address, start_service

    root = make_storage(storage)
    if params["host"] is not None:
        params["host"] = require_own_address(params["host"])
    if params["data_root"] is not None:
        params["data_root"] = params["data_root"].absolute()
    _require_tls(params)
    root.prepare(is_passable=params["postgres"] and server_account() is not None)
    config = ServiceConfig(
        storage=root.root,
        tracking_database=root.tracking_database,
        artifacts=root.artifacts,
        **{field: params[name] for name, field in _CONFIG_FIELDS.items()},
    )
    explicit = {field for name, field in _CONFIG_FIELDS.items() if _is_explicit(ctx, name)}
    started = start_service(ServiceFolder(root=root.service), config, explicit, _progress)
    for line in _summary_lines(started, root):
        click.echo(line)
    return 0


def _require_tls(given: dict[str, Any]) -> None:
    """Make the files of TLS absolute.

    Raises:
        ClusterError: If one of them is missing, or others may read the key.
    """
    names = ("tls_cert", "tls_key", "tls_ca")
    files = [given[name] for name in names if given[name] is not None]
    if len(files) not in (0, len(names)):
        raise ClusterError("--tls-cert, --tls-key and --tls-ca must be given together.")
    given.update({name: given[name].absolute() for name in names if files})
    if files and given["tls_key"].stat().st_mode & 0o077:
        raise ClusterError(
            f"--tls-key must be for its owner alone; run 'chmod 600 {given['tls_key']}'."
        )


def _is_explicit(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    )


def _progress(line: str) -> None:
    click.echo(f"… {line}", err=True)


def _summary_lines(started: StartResult, storage: StorageRoot) -> list[str]:
    service = started.service
    first = "The service runs." if started.components else "The service runs already."
    return [
        first,
        "",
        f"  Ray        {service.head}",
        f"  dashboard  {service.dashboard}",
        f"  MLflow     {_mlflow(started)}",
        f"  database   {'PostgreSQL' if service.config.has_postgres else 'SQLite'}",
        f"  results    {storage.root}",
        "",
        "Submit a study:",
        f"  challenger-study submit STUDY.yaml --address {service.dashboard}",
        *_join_instructions(started),
        "Inspect and stop it:",
        f"  {command_line('cluster status', storage)}",
        f"  {command_line('cluster down', storage)}",
    ]


def _mlflow(started: StartResult) -> str:
    """Return MLflow's address, with the password where nobody else reads it."""
    service = started.service
    link = service.folder.link(service.config.mlflow_port)
    if is_private_output():
        return link.read_text(encoding="utf-8").strip()
    return f"{service.mlflow}; the link in {link} needs no password"


def _tls(started: StartResult) -> str:
    """Return what a machine that joins sets before, with its own certificate and key."""
    ca = started.service.config.tls_ca
    if ca is None:
        return ""
    own = "RAY_TLS_SERVER_CERT=CERT RAY_TLS_SERVER_KEY=KEY"
    return f"RAY_USE_TLS=1 {own} RAY_TLS_CA_CERT={ca} "


def _join_instructions(started: StartResult) -> list[str]:
    from cluster.auth import require_token

    service = started.service
    passwords = service.folder.passwords
    mlflow = f"MLflow asks programs for user 'admin' and the password in {passwords}."
    if not service.is_open:
        return ["Only this machine can reach it; for others: 'cluster up --host ADDRESS'.", mlflow]
    token = require_token().file
    where = "the token of RAY_AUTH_TOKEN" if token is None else f"the file {token}"
    return [
        f"Other machines need {where} as ~/.ray/auth_token with mode 600, and must have",
        f"{service.config.storage} at the same path. A machine joins with:",
        # Ray's log monitor is not used, and would outlive a disconnected node.
        f"  {_tls(started)}RAY_AUTH_MODE=token "
        f"RAY_USAGE_STATS_ENABLED=0 ray start --address={service.head} "
        "--include-log-monitor=false",
        mlflow,
    ]


@click.command("down", short_help="Stop the service of 'cluster up'.")
@storage_option
def down_command(storage: Path) -> int:
    """Stop the service of 'cluster up', also after a crash; results remain.

    Running studies are stopped first and can be resumed.
    """
    from cluster.service import ServiceFolder, stop_service

    root = make_storage(storage)
    stopped = stop_service(ServiceFolder(root=root.service), _progress)
    if stopped:
        click.echo(f"stopped: {', '.join(stopped)}.")
    else:
        click.echo(f"nothing to stop: no service runs for {root.root}.")
    return 0


# The keys of cluster.render.LAUNCHERS, which a test compares: help loads no renderer.
FORMATS = ("compose", "dockerfile", "kuberay", "ray-up", "slurm")


@click.command("render", short_help="Write a launch file for a Ray cluster.")
@click.argument("launcher", metavar="FORMAT", type=click.Choice(FORMATS))
@click.option(
    "--set",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting, such as workers.max=8 or namespace=lab; repeatable. --list prints all.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Output file; default: standard output.",
)
@force_option
@click.option("--list", "is_list", is_flag=True, help="List all settings instead.")
def render_command(
    launcher: str, pairs: tuple[str, ...], output: Path | None, force: bool, is_list: bool
) -> int:
    """Write a launch file for a Ray cluster on which studies run.

    FORMAT is one of compose (one machine), dockerfile (the image for all others), kuberay
    (Kubernetes), ray-up (machines with ssh, or AWS) and slurm. The first lines of the file
    describe its use. It holds no password; Ray requires a token.
    """
    from cluster.render import render_launch_file

    if is_list:
        return _print_settings(pairs)
    check_output(output, force)
    command = _command_line(launcher, pairs)
    if output is None:
        click.echo(render_launch_file(launcher, pairs, command), nl=False)
        return 0
    write_atomic(output, render_launch_file(launcher, pairs, command, str(output)))
    click.echo(str(output))
    return 0


def _print_settings(pairs: tuple[str, ...]) -> int:
    from cluster.render import describe_settings, parse_overrides

    for setting, description in describe_settings(parse_overrides(pairs)).items():
        click.echo(f"{setting:<44} {' '.join(description.split())}")
    return 0


def _command_line(launcher: str, pairs: tuple[str, ...]) -> str:
    sets = [word for pair in pairs for word in ("--set", pair)]
    return shlex.join(["challenger-study", "cluster", "render", launcher, *sets])
