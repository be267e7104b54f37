"""``list``: what there is to choose from, and the studies that were begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import click

from study.cli.options import storage_of, storage_option

KINDS = (
    "datasets",
    "models",
    "methods",
    "attributions",
    "metrics",
    "spaces",
    "presets",
    "studies",
)


@click.command("list")
@click.argument("kind", metavar="[KIND]", type=click.Choice(KINDS), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@storage_option
def command(kind: str | None, as_json: bool, storage: Path) -> int:
    """List datasets, models, methods, attributions, metrics, spaces, presets or studies.

    One KIND of these, or all of them.
    """
    found = {one: _FINDERS[one](storage) for one in ([kind] if kind else KINDS)}
    if as_json:
        click.echo(json.dumps(found[kind] if kind else found, indent=2))
        return 0
    for one, names in found.items():
        if kind is None:
            click.echo(f"{one}:")
        for name, summary in names.items():
            click.echo(f"{'' if kind else '  '}{name:<20} {summary}".rstrip())
    return 0


def _classes(mapping: Mapping[str, type]) -> dict[str, str]:
    return {name: _first_line(kind) for name, kind in sorted(mapping.items())}


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def _datasets(_: Path) -> dict[str, str]:
    from trainables.datasets import DATASETS

    return _classes(DATASETS)


def _models(_: Path) -> dict[str, str]:
    from trainables.models import MODELS

    return _classes(MODELS)


def _methods(_: Path) -> dict[str, str]:
    from trainables.methods import METHODS

    return _classes(METHODS)


def _attributions(_: Path) -> dict[str, str]:
    from trainables.attribution import ATTRIBUTIONS

    return _classes(ATTRIBUTIONS)


def _metrics(_: Path) -> dict[str, str]:
    from trainables.metrics import METRICS

    found = {f"val/{name}": _first_line(metric.compute) for name, metric in METRICS.items()}
    filters = "Cosine similarity of the filters of a layer, or its unweighted mean over layers."
    return {**found, "filter_cosine/mean": filters}


def _spaces(_: Path) -> dict[str, str]:
    from search_spaces import SPACES

    return {name: ", ".join(space.searched) for name, space in sorted(SPACES.items())}


def _presets(_: Path) -> dict[str, str]:
    presets = [p for p in files("study.presets").iterdir() if p.name.endswith(".yaml")]
    return {
        p.name.removesuffix(".yaml"): p.read_text("utf-8").splitlines()[0].removeprefix("# ")
        for p in sorted(presets, key=lambda p: p.name)
    }


def _studies(storage: Path) -> dict[str, str]:
    return dict.fromkeys(storage_of(storage).studies(), "")


_FINDERS: Mapping[str, Callable[[Path], dict[str, str]]] = {
    "datasets": _datasets,
    "models": _models,
    "methods": _methods,
    "attributions": _attributions,
    "metrics": _metrics,
    "spaces": _spaces,
    "presets": _presets,
    "studies": _studies,
}
