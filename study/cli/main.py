"""``challenger-study``: the group of all commands, with one message per error of ours.

Exit codes: 0 done; 1 the study ran and a part of it failed; 2 wrong input or environment, with
one message; 130 interrupted, and resumable.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final

import click

from cluster.errors import ClusterError
from search_spaces.dimensions import SpaceError
from study.cli.lazy_group import LazyGroup
from study.cli.output import install_streams, output_problem
from study.records.errors import StudyError
from trainables.errors import TrainableError

# Time limit of the exit handlers of libraries.
_EXIT_TIMEOUT_S: Final = 2.0
_PROGRAM: Final = "challenger-study"

# Command to the first line of its help: `--help` loads no command.
_COMMANDS = {
    "check": "Check the parts of plug-ins against their contract.",
    "cluster": "Set up the Ray cluster that studies run on: a service here, or launch files.",
    "data": "Fetch datasets from their official sources, or check existing files.",
    "delete": "Delete a study: its folder, its trials in the database, its MLflow experiment.",
    "demo": "Run a small, complete study on real MNIST digits; no download.",
    "export": "Export a study's trials as a table: CSV or Parquet.",
    "export-model": "Export a trained network, which runs without this package.",
    "list": "List datasets, models, methods, metrics, spaces, presets or studies.",
    "logs": "Show the output of a study's driver on a cluster.",
    "mlflow": "Run the tracking server on the results, or rebuild the MLflow mirror.",
    "plan": "Print what a study trains, its hours, and what it can show.",
    "repair": "Repair a study after damage to its files or its database, and finish it.",
    "report": "Write a study's figures, tables and HTML page.",
    "reproduce": "Run a table or figure of the papers, with the printed numbers.",
    "resume": "Resume the study NAME after an interruption.",
    "run": "Run or resume the study of a file.",
    "schema": "Print the JSON Schema of a study file, for editors.",
    "sensitivity": "Sweep dimensions around a study's chosen configuration.",
    "show": "Show a study's arms, search spaces and chosen configurations.",
    "status": "Show a study's trials by state, its best values and its failures.",
    "stop": "Stop a study on a cluster; it can be resumed.",
    "submit": "Run the study of a file on a Ray cluster.",
    "validate": "Report all problems of a study file at once.",
}
# Module to its commands, each as ``<name>_command``.
_MODULES: Final = {
    "cluster_commands": ("cluster",),
    "data_commands": ("data",),
    "inspect_commands": ("check", "list", "logs", "schema", "show", "status"),
    "result_commands": ("export", "export-model", "mlflow", "report"),
    "plan_commands": ("plan",),
    "storage_commands": ("delete", "repair"),
    "run_commands": (
        "demo",
        "reproduce",
        "resume",
        "run",
        "sensitivity",
        "stop",
        "submit",
        "validate",
    ),
}


@click.group(
    cls=LazyGroup,
    summaries=_COMMANDS,
    modules={
        name: f"study.cli.{module}:{name.replace('-', '_')}_command"
        for module, names in _MODULES.items()
        for name in names
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(None, "-V", "--version", package_name="challenger-study")
def cli() -> None:
    """Studies of attribution-guided training: search, sensitivity and review."""


def main(command: click.Command = cli, program: str = _PROGRAM) -> None:
    """Run a command line and exit."""
    if sys.flags.optimize > 1 and os.environ.pop("PYTHONOPTIMIZE", ""):
        # Libraries read their own docstrings, which that variable removes.
        os.execv(sys.executable, sys.orig_argv)
    sinks = install_streams()
    code = run(None, command, program)
    # Ray's exit handler would wait for a cluster that is gone.
    handlers = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    handlers.start()
    handlers.join(_EXIT_TIMEOUT_S)
    if (problem := output_problem(sinks)) is not None:
        click.echo(f"Error: {problem}", err=True)
        code = code or 2
    # Unloading torch and Ray takes seconds, which Ctrl-C would wait for.
    os._exit(code)


def run(
    arguments: list[str] | None = None, command: click.Command = cli, program: str = _PROGRAM
) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: None for those of the process.
        command: Root of the command line.
        program: Its name in help and messages.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        # A terminal that is closed; under nohup the signal is ignored.
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        code = command.main(args=arguments, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):
            # For click, the end of its input.
            click.echo(f"Error: a file ended too early ({error.__cause__}).", err=True)
            return 2
        click.echo("interrupted.", err=True)
        return 130
    except (StudyError, SpaceError, TrainableError, ClusterError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    return code if isinstance(code, int) else 0


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler)
    # A preempted machine sends SIGTERM: the study then stops as on Ctrl-C.
    raise KeyboardInterrupt
