"""What commands share that speak to a cluster from outside, through its dashboard's address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from study.cli.console import make_console

if TYPE_CHECKING:
    from cluster.jobs import Job

# Parameters that say where something is; on a cluster they name places of the cluster's.
_FORWARDED: Final = ("storage", "data_root", "database", "tracking_uri")
_FOLDER_OPTIONS: Final = frozenset({"storage", "data_root"})

_Decorated = Callable[..., Any]


def cluster_option(*, required: bool) -> Callable[[_Decorated], _Decorated]:
    """Add ``--address``, the dashboard's of a running cluster."""
    return click.option(
        "--address",
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        required=required,
        help="A Ray cluster's dashboard, such as http://10.0.0.1:8265"
        + ("." if required else "; default: look at this machine's storage."),
    )


def is_remote(address: str | None) -> bool:
    """Tell whether an address is a dashboard's, so that the driver runs on the cluster."""
    return address is not None and address.startswith(("http://", "https://"))


def forwarded_options() -> list[str]:
    """Give those options of the command that say where things are on the cluster.

    Only what was typed is sent: this machine's environment speaks of this machine.

    Raises:
        UsageError: If a folder has no absolute path.
    """
    context = click.get_current_context()
    sent = []
    for name in _FORWARDED:
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        place, option = str(context.params[name]), f"--{name.replace('_', '-')}"
        if name in _FOLDER_OPTIONS and not PurePosixPath(place).is_absolute():
            raise click.UsageError(
                f"{option} must be an absolute path on the cluster's machines, got {place!r}."
            )
        sent += [option, place]
    return sent


def run_on_cluster(address: str, arguments: Sequence[str]) -> str:
    """Let the cluster run a command of ours and give what it said, or leave with its exit code."""
    from cluster.jobs import JobClient
    from study.remote.jobs import run_command

    with make_console(stderr=True).status(f"asking {address} …"):
        reply = run_command(JobClient(address), arguments)
    if reply.exit_code:
        click.echo(reply.text.strip(), err=True)
        raise click.exceptions.Exit(reply.exit_code)
    return reply.text


def wait_for_driver(address: str, study: str, name: str) -> int:
    """Wait until a driver that was started trains, and say how to go on; gives the exit code."""
    from cluster.jobs import JobClient
    from study.remote.jobs import program_lines, wait_until_ready

    hints = f"--address {address}"
    try:
        with make_console(stderr=True).status(f"job {name}: the cluster gets ready …"):
            job, said = wait_until_ready(JobClient(address), name)
    except KeyboardInterrupt:
        click.echo(f"job {name} goes on; stop it with: stop {study} {hints}", err=True)
        return 130
    if job.has_ended and job.exit_code != 0:
        click.echo("\n".join(program_lines(said)) or job.message, err=True)
        return exit_code(job)
    click.echo(f"study {study} {'has ended' if job.has_ended else 'runs'} as job {name}.")
    click.echo(f"watch it: challenger-study logs {study} -f {hints}")
    click.echo(f"its state: challenger-study status {study} {hints}")
    return 0


def exit_code(job: Job) -> int:
    """Give a driver's exit code; 2 where the cluster never came so far as to start it."""
    if job.exit_code is None:
        return 130 if job.state == "STOPPED" else 2
    return abs(job.exit_code)
