"""``resume``: go on with a study that was interrupted."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import running_options, storage_of
from study.cli.run_command import run_text


@click.command("resume")
@click.argument("name")
@running_options
def command(name: str, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Go on with the study NAME where it stands."""
    from study.stored import stored_text

    folder = storage_of(given["storage"]).study(name)
    return run_text(stored_text(folder), str(folder.spec), **given)
