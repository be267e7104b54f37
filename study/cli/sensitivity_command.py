"""``sensitivity``: sweep dimensions around a study's chosen configuration."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import running_options, storage_of
from study.cli.run_command import run_text


@click.command("sensitivity")
@click.argument("name")
@click.option(
    "--over",
    required=True,
    multiple=True,
    metavar="DIMENSION",
    help="Dimension to sweep, such as top_k; may be given several times.",
)
@click.option(
    "--values",
    metavar="V1,V2,…",
    help="Values of the one dimension; default: every class rank for top_k, else seven "
    "evenly spaced values of the searched range.",
)
@click.option("--arm", metavar="ARM", help="Arm to sweep; default: all that search it.")
@running_options
def command(
    name: str,
    over: tuple[str, ...],
    values: str | None,
    arm: str | None,
    **given: Any,  # noqa: ANN401
) -> int:
    """Sweep dimensions around the chosen configuration of the study NAME.

    Each value is trained with the fresh replica seeds of the Base and Random controls; values
    that were trained before are not trained again.
    """
    from study.spec import Wish, ask_for_sweep, read_values
    from study.stored import load_stored, stored_text

    if values is not None and len(over) > 1:
        raise click.UsageError("--values belongs to one dimension; give --over once with it.")
    folder = storage_of(given["storage"]).study(name)
    spec = load_stored(folder)
    parsed = None if values is None else read_values(values)
    ask_for_sweep(spec, folder, Wish(over=over, values=parsed, arm=arm))
    return run_text(stored_text(folder), str(folder.spec), **given)
