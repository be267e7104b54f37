"""Commands that print names, studies and their states: list, schema, show, status, logs."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from study.cli.cluster_client import cluster_option, exit_code, forwarded_options, run_on_cluster
from study.cli.console import make_console, print_plain
from study.cli.options import (
    data_root_option,
    database_option,
    json_option,
    make_storage,
    named_plugins,
    plugin_option,
    storage_option,
    study_options,
)

if TYPE_CHECKING:
    from study.engine.status import StudyStatus

# Kind to the mapping of its classes.
_CLASSES: Final = {
    "datasets": "trainables.datasets:DATASETS",
    "readers": "trainables.datasets:READERS",
    "models": "trainables.models:MODELS",
    "methods": "trainables.methods:METHODS",
    "attributions": "trainables.attribution:ATTRIBUTIONS",
}
KINDS: Final = (*_CLASSES, "metrics", "spaces", "presets", "studies")


@click.command("list")
@click.argument("kind", metavar="[KIND]", type=click.Choice(KINDS), required=False)
@plugin_option
@json_option
@storage_option
def list_command(kind: str | None, plugins: tuple[str, ...], as_json: bool, storage: Path) -> int:
    """List datasets, readers, models, methods, attributions, metrics, spaces, presets or studies.

    One KIND of these, or all of them.
    """
    if kind not in ("presets", "studies"):
        named_plugins(plugins)
    found = {one: _listing(one, storage) for one in ([kind] if kind else KINDS)}
    if as_json:
        click.echo(json.dumps(found[kind] if kind else found, indent=2))
        return 0
    for one, names in found.items():
        if kind is None:
            click.echo(f"{one}:")
        for name, summary in names.items():
            click.echo(f"{'' if kind else '  '}{name:<20} {summary}".rstrip())
    return 0


def _listing(kind: str, storage: Path) -> dict[str, str]:
    """Return the names of a kind, each with a line about it."""
    if kind in _CLASSES:
        module, _, mapping = _CLASSES[kind].partition(":")
        found: Mapping[str, type] = getattr(importlib.import_module(module), mapping)
        return {name: _first_line(each) for name, each in sorted(found.items())}
    if kind == "metrics":
        from trainables.metrics import METRICS

        metrics = {f"val/{name}": _first_line(each.compute) for name, each in METRICS.items()}
        filters = (
            "Cosine similarity of the filters of a layer, or its unweighted mean over layers."
        )
        return {**metrics, "filter_cosine/mean": filters}
    if kind == "spaces":
        from study.config.parameters import searched
        from trainables.methods import METHODS

        spaces = {name: ", ".join(searched(method)) for name, method in sorted(METHODS.items())}
        return {name: dimensions for name, dimensions in spaces.items() if dimensions}
    if kind == "presets":
        presets = [p for p in files("study.presets").iterdir() if p.name.endswith(".yaml")]
        return {
            p.name.removesuffix(".yaml"): p.read_text("utf-8").splitlines()[0].removeprefix("# ")
            for p in sorted(presets, key=lambda p: p.name)
        }
    return dict.fromkeys(make_storage(storage).studies(), "")


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


@click.command("schema")
@plugin_option
def schema_command(plugins: tuple[str, ...]) -> int:
    """Print the JSON Schema of a study file, for editors."""
    from study.config.reference import schema

    named_plugins(plugins)
    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0


@click.command("check")
@click.argument("plugins", metavar="PLUGIN…", nargs=-1, required=True)
@data_root_option
def check_command(plugins: tuple[str, ...], data_root: Path | None) -> int:
    """Check the parts of plug-ins, my_parts.py or my_lab.parts, as a study does at its start.

    Datasets are read; models, methods and attributions are tried on small images, texts and
    series, and metrics on random predictions.
    """
    import tempfile

    from trainables.conformance import check_part
    from trainables.datasets import DataFolders
    from trainables.errors import PluginError

    loaded = named_plugins(plugins)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as cache:
        folders = DataFolders(root=data_root and data_root.absolute(), cache=Path(cache))
        for one in loaded:
            if not one.parts:
                click.echo(f"{one.plugin.module}: no part; its functions can be named alone")
            for part in one.parts:
                found = check_part(part, folders)
                problems += found.problems
                state = "wrong" if found.problems else found.note or "conforms"
                click.echo(f"{one.plugin.module}: {part.kind} {part.name}: {state}")
    if problems:
        raise PluginError("\n".join(problems))
    return 0


@click.command("show")
@click.argument("name")
@json_option
@database_option
@storage_option
def show_command(name: str, as_json: bool, **params: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Show the resolved study NAME, and the configuration that each arm's search has chosen."""
    from study.results.build import load_study, load_trial_table
    from trainables.decoding import encode

    settings = study_options(data_root=None, tracking_uri=None, **params)
    spec = load_study(settings.storage.study(name))
    table = load_trial_table(name, settings)
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
            click.echo(f"  shares the search of {arm.group!r}, by the mean gain over Base")
        for dimension, axis in arm.space.dimensions.items():
            how = f"searches {dimension}: {_format_axis(encode(axis))}"
            click.echo(f"  {how}" if arm.like is None else f"  takes {dimension} from {arm.like}")
        for dimension, value in arm.space.fixed.items():
            click.echo(f"  fixes {dimension} at {value}")
        for dimension, values in arm.sweeps().items():
            click.echo(f"  sweeps {dimension} over {', '.join(map(_format_number, values))}")
        if row.best_params is None:
            click.echo("  nothing chosen yet")
        elif row.best_params:
            point = ", ".join(f"{k} = {_format_number(v)}" for k, v in row.best_params.items())
            click.echo(f"  chose {point}" if arm.like is None else f"  has {point}")
    return 0


def _format_axis(axis: dict[str, Any]) -> str:
    if "choices" in axis:
        return ", ".join(map(_format_number, axis["choices"]))
    return f"{axis['low']} to {axis['high']}" + (", logarithmic" if axis["log"] else "")


def _format_number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@click.command("status")
@click.argument("name")
@json_option
@cluster_option(required=False)
@database_option
@storage_option
def status_command(
    name: str, as_json: bool, address: str | None, database: str | None, storage: Path
) -> int:
    """Show trials by state, best so far, failures with reasons, rate and time left of NAME."""
    from study.engine.status import read_status, study_status

    if address is None:
        root = make_storage(storage)
        url = database or root.database_url
        status = study_status(root.study(name), url, must_exist=database is not None)
    else:
        command = ["status", name, "--json", *forwarded_options()]
        status = read_status(run_on_cluster(address, command))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(status), indent=2))
    else:
        _print_progress(status)
    return 0


def _print_progress(status: StudyStatus) -> None:
    console = make_console()
    runner = "" if status.runner is None else f" ({status.runner})"
    print_plain(console, f"study {status.study}: {status.activity}{runner}")
    # Everything fits into 80 columns: the metric stands above, and names fold.
    table = Table(title=f"best: {status.metric}", title_justify="left", pad_edge=False)
    table.add_column("arm", overflow="fold")
    for name in ("phase", "asked", "running", "complete", "pruned", "failed", "best"):
        table.add_column(name, no_wrap=True)
    for counts in status.phases:
        best = "–" if counts.best is None else f"{counts.best:.4f}"
        numbers = (counts.running, counts.complete, counts.pruned, counts.failed)
        cells = (counts.arm, counts.phase, f"{counts.asked}/{counts.total}", *map(str, numbers))
        table.add_row(*map(Text, (*cells, best)))
    console.print(table)
    for failure in status.failures:
        print_plain(console, f"failed: {failure}")
    if status.trials_per_hour is not None:
        left = "" if status.seconds_left is None else f", about {status.seconds_left:.0f} s left"
        print_plain(console, f"{status.trials_per_hour:.0f} trials per hour{left}")
    if status.waiting_entries:
        reason = f" (last error: {status.tracking_error})" if status.tracking_error else ""
        print_plain(
            console,
            f"{status.waiting_entries} entries with {status.waiting_points} metric values wait "
            f"for MLflow{reason}",
        )


@click.command("logs")
@click.argument("name")
@click.option(
    "-f", "--follow", "does_follow", is_flag=True, help="Follow the output until the study ends."
)
@cluster_option(required=True)
def logs_command(name: str, does_follow: bool, address: str) -> int:
    """Show the output of the driver of the study NAME on the cluster.

    With -f the exit code is that of the study. Ctrl-C does not stop the study.
    """
    from cluster.jobs import JobClient
    from study.remote.jobs import follow, latest_job

    jobs = JobClient(address)
    if not does_follow:
        click.echo(jobs.get_logs(latest_job(jobs, name).name), nl=False)
        return 0
    return exit_code(follow(jobs, name, partial(click.echo, nl=False)))
