"""Options and calls of commands that use a cluster through its dashboard's address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from study.cli.console import make_console

if TYPE_CHECKING:
    from cluster.jobs import Job

# Parameters that are forwarded to a cluster, where they name its paths and addresses.
_FORWARDED: Final = ("storage", "data_root", "database", "tracking_uri")
_FOLDER_OPTIONS: Final = frozenset({"storage", "data_root"})

_Decorated = Callable[..., Any]


def cluster_option(*, required: bool) -> Callable[[_Decorated], _Decorated]:
    """Add ``--address``, the dashboard of a running cluster."""
    return click.option(
        "--address",
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        required=required,
        help="A Ray cluster's dashboard, such as http://10.0.0.1:8265"
        + ("." if required else "; default: this machine's storage."),
    )


def is_remote(address: str | None) -> bool:
    """Return whether an address is that of a dashboard."""
    return address is not None and address.startswith(("http://", "https://"))


def forwarded_options() -> list[str]:
    """Return the typed options of the command that the cluster must get too.

    Values from this machine's environment are not forwarded.

    Raises:
        UsageError: If a folder has no absolute path.
    """
    context = click.get_current_context()
    sent = []
    for name in _FORWARDED:
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value, option = str(context.params[name]), f"--{name.replace('_', '-')}"
        if name in _FOLDER_OPTIONS and not PurePosixPath(value).is_absolute():
            raise click.UsageError(
                f"{option} must be an absolute path on the cluster's machines, got {value!r}."
            )
        sent += [option, value]
    return sent


def run_on_cluster(address: str, arguments: Sequence[str]) -> str:
    """Run a command on the cluster and return its output, or exit with its exit code."""
    from cluster.jobs import JobClient
    from study.remote.jobs import run_command

    with make_console(stderr=True).status(f"waiting for {address} …"):
        output = run_command(JobClient(address), arguments)
    if output.exit_code:
        click.echo(output.text.strip(), err=True)
        raise click.exceptions.Exit(output.exit_code)
    return output.text


def wait_for_driver(address: str, study: str, name: str) -> int:
    """Wait until a started driver trains, print the next commands and return the exit code."""
    from cluster.jobs import JobClient
    from study.remote.jobs import program_lines, wait_until_ready

    hints = f"--address {address}"
    try:
        with make_console(stderr=True).status(f"job {name}: waiting for the cluster …"):
            job, logs = wait_until_ready(JobClient(address), name)
    except KeyboardInterrupt:
        click.echo(f"job {name} continues; stop it with: stop {study} {hints}", err=True)
        return 130
    if job.has_ended and job.exit_code != 0:
        click.echo("\n".join(program_lines(logs)) or job.message, err=True)
        return exit_code(job)
    click.echo(f"study {study} {'has ended' if job.has_ended else 'runs'} as job {name}.")
    click.echo(f"watch it: challenger-study logs {study} -f {hints}")
    click.echo(f"its state: challenger-study status {study} {hints}")
    return 0


def exit_code(job: Job) -> int:
    """Return a driver's exit code; 2 if the cluster did not start it."""
    if job.exit_code is None:
        return 130 if job.state == "STOPPED" else 2
    return abs(job.exit_code)
