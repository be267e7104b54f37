"""``challenger-study``: finds the command, and turns our own errors into one message each.

Exit codes: 0 done; 1 the study ran and something in it failed; 2 the user's input or
environment, one clear message; 130 interrupted, and resumable.
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
from study.records.errors import StudyError
from trainables.errors import TrainableError

# How long what libraries do at the end of a process may take.
_EXIT_TIMEOUT_S: Final = 2.0

# Command to the first line of its help: `--help` loads no command.
_COMMANDS = {
    "cluster": "Make the Ray cluster that studies run on: a service here, or launch files.",
    "data": "Fetch datasets from their official sources, or check those that are there.",
    "demo": "Run a small, complete study on real MNIST digits; no download.",
    "export": "Export a study's trials as a table: CSV or Parquet.",
    "list": "List datasets, models, methods, metrics, spaces, presets or studies.",
    "logs": "Show what a study on a cluster has written.",
    "mlflow": "Open the tracking server on the results, or rebuild the MLflow mirror.",
    "report": "Write a study's figures, tables and HTML page anew.",
    "reproduce": "Run a table or figure of the papers, beside the printed numbers.",
    "resume": "Go on with a study that was interrupted.",
    "run": "Run the study of a file, or go on with it.",
    "sensitivity": "Sweep dimensions around a study's chosen configuration.",
    "schema": "Print the JSON Schema of a study file, for editors.",
    "show": "Show a study's arms, search spaces and chosen configurations.",
    "status": "Show how far a study is, its best trials and its failures.",
    "stop": "Stop a study on a cluster, so that it can go on later.",
    "submit": "Run the study of a file on a Ray cluster, from anywhere.",
}


@click.group(
    cls=LazyGroup,
    summaries=_COMMANDS,
    module="study.cli.{}_command",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="challenger-study")
def cli() -> None:
    """Studies of attribution-guided training: search, sensitivity and review."""


def main() -> None:
    """Run the command line and exit."""
    code = run()
    # Ray's would wait for a cluster that is gone.
    leaving = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    leaving.start()
    leaving.join(_EXIT_TIMEOUT_S)
    sys.stdout.flush()
    sys.stderr.flush()
    # Freeing all that torch and Ray have imported takes seconds, for which Ctrl-C would wait.
    os._exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(args=arguments, prog_name="challenger-study", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted.", err=True)
        return 130
    except (StudyError, SpaceError, TrainableError, ClusterError) as error:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        return 2
    return code if isinstance(code, int) else 0


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler)
    # A preempted machine sends SIGTERM: the study then ends as it does on Ctrl-C.
    raise KeyboardInterrupt
