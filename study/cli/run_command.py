"""``run``: run the study of a file, or go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from study.cli.options import options, running_options
from study.cli.outcome import make_console, show_outcome
from study.cli.remote import is_remote


@click.command("run")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@running_options
def command(file: Path, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Run the study of a file here, or on the Ray at --address.

    The same command again goes on where the study stands. A file that asks for more trials, other
    sweeps or further arms extends it.
    """
    from study.spec import read_text

    if is_remote(given["address"]):
        raise click.UsageError(
            f"run: --address must be that of Ray's head, such as 10.0.0.1:6379, got "
            f"{given['address']!r}; with a dashboard's address, use 'submit'."
        )
    return run_text(read_text(file), str(file), **given)


def run_text(text: str, where: str, **given: Any) -> int:  # noqa: ANN401
    """Run a study file's text and print how it ended."""
    from study.runner import run

    settings = options(**given)
    console = make_console()
    return show_outcome(run(text, where, settings, console), settings, console)
