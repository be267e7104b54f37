"""``schema``: the JSON Schema of a study file."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> int:
    """Print the JSON Schema of a study file, for editors."""
    from study.spec.schema import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
