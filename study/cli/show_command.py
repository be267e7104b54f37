"""``show``: a study's arms, search spaces and chosen configurations."""

from __future__ import annotations

import json
from typing import Any

import click

from study.cli.options import database_option, options, storage_option


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@database_option
@storage_option
def command(name: str, as_json: bool, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Show the study NAME as it was resolved, and what each arm's search has chosen."""
    from study.stored import load_stored, read_table
    from trainables.decoding import encode

    settings = options(data_root=None, tracking_uri=None, **given)
    spec = load_stored(settings.storage.study(name))
    table = read_table(name, settings)
    if as_json:
        chosen = {arm.name: arm.best_params for arm in table.arms}
        click.echo(json.dumps({"spec": encode(spec), "chosen": chosen}, indent=2))
        return 0
    click.echo(f"study {spec.name}: {spec.direction} {spec.metric}, seed {spec.seed}")
    for arm, row in zip(spec.arms, table.arms, strict=True):
        click.echo(
            f"arm {arm.name}: {row.method} on {row.dataset}, {row.model}, "
            f"{row.epochs} epochs, {arm.replicas.final} final replicas"
        )
        if arm.group is not None:
            click.echo(f"  one search for {arm.group!r}, by the mean gain over Base")
        for dimension, axis in arm.space.dimensions.items():
            click.echo(f"  searches {dimension}: {_axis(encode(axis))}")
        for dimension, value in arm.space.fixed.items():
            click.echo(f"  holds {dimension} at {value}")
        for dimension, values in arm.sweeps().items():
            click.echo(f"  sweeps {dimension} over {', '.join(map(_text, values))}")
        if row.best_params is None:
            click.echo("  nothing chosen yet")
        elif row.best_params:
            point = ", ".join(f"{k} = {_text(v)}" for k, v in row.best_params.items())
            click.echo(f"  chose {point}")
    return 0


def _axis(axis: dict[str, Any]) -> str:
    if "choices" in axis:
        return ", ".join(map(_text, axis["choices"]))
    return f"{axis['low']} to {axis['high']}" + (", logarithmic" if axis["log"] else "")


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
