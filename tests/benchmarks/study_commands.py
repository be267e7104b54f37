"""Benchmarks of studies: overhead, tracking, reuse, and scaling."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from tests.benchmarks import result_tables as tables
from tests.support.command_line import database_kind_option

if TYPE_CHECKING:
    from tests.benchmarks.charts import ChartPage
    from tests.benchmarks.large_study import LargeStudyCosts
    from tests.benchmarks.measured_study import DatabaseKind
    from tests.benchmarks.scaling import ScalingConfig, SlotUtilization


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure the overhead, the savings and the scaling of studies."""


def _folder_option(called: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder on the disk to measure; what is written there is removed. Default: a "
        "temporary one.",
    )(called)


def _rounds_option(called: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--rounds",
        type=click.IntRange(min=1),
        default=7,
        show_default=True,
        help="Rounds measured.",
    )(called)


def _json_option(called: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(called)


@command.command("overhead")
@click.option(
    "--trials",
    type=click.IntRange(min=8),
    default=200,
    show_default=True,
    help="Trials that are measured, in eight blocks.",
)
@click.option(
    "--slots", type=click.IntRange(min=1), default=2, show_default=True, help="Trials at a time."
)
@database_kind_option
@_folder_option
@_json_option
def _overhead(
    trials: int, slots: int, database: DatabaseKind, folder: Path | None, as_json: bool
) -> None:
    """Measure the overhead of a trial.

    A real study, whose trials alone cost nothing: TPE over five dimensions, four reports each,
    with result files, checkpoints, a database and MLflow. It is compared with Optuna alone, on a
    database of the same kind, and with Tune as it comes, block by block. How many trials at a
    time one driver could feed is computed from it.
    """
    from tests.benchmarks.overhead import measure_overhead

    with _work_folder(folder) as root:
        found = measure_overhead(root, trials, slots, _print_status, database)
    if as_json:
        _print_json(found.as_data())
    else:
        tables.print_overhead(found)


@command.command("tracking")
@_rounds_option
@_folder_option
@_json_option
def _tracking(rounds: int, folder: Path | None, as_json: bool) -> None:
    """Measure how fast a backlog reaches MLflow, and how long a study waits for it.

    A server of its own takes the records of an outbox, and the same points from MLflow's client
    alone, in turn. Then the study of 'reuse' is run.
    """
    from tests.benchmarks.tracking import measure_tracking, measure_tracking_share

    with _work_folder(folder) as root:
        (root / "rates").mkdir()
        found = measure_tracking(root / "rates", rounds, _print_status)
        share = measure_tracking_share(root / "study", _print_status)
    if as_json:
        _print_json({**found.as_data(), "study": asdict(share)})
    else:
        tables.print_tracking(found)
        tables.print_tracking_share(share)


@command.command("charts")
@click.option(
    "--trials",
    type=click.IntRange(min=4),
    multiple=True,
    default=(24, 1000),
    show_default=True,
    help="Search trials of the study; may be given several times.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@_folder_option
@_json_option
def _charts(trials: tuple[int, ...], rounds: int, folder: Path | None, as_json: bool) -> None:
    """Measure how long MLflow's page of charts takes in headless Chromium.

    Synthetic studies are sent to a database of their own, on which MLflow's server runs. Every
    round has a new profile, so that nothing is cached.
    """
    from tests.benchmarks.charts import measure_charts

    found: list[ChartPage] = []
    for count in trials:
        with _work_folder(folder) as root:
            found += measure_charts(root, count, rounds, _print_status)
    if as_json:
        _print_json({"pages": [asdict(one) for one in found]})
    else:
        tables.print_charts(found)


@command.command("reuse")
@_rounds_option
@_folder_option
@_json_option
def _reuse(rounds: int, folder: Path | None, as_json: bool) -> None:
    """Measure what a study saves by reuse.

    A study of 40 trials that fine-tune Base models of digits is run, and one of its trials
    with and without each saving.
    """
    from tests.benchmarks.reuse import measure_reuse

    with _work_folder(folder) as root:
        found = measure_reuse(root, rounds, _print_status)
    if as_json:
        _print_json(found.as_data())
    else:
        tables.print_reuse(found)


_studies_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Storage of the studies; the same command again continues them.",
)


@command.command("regimes")
@click.option(
    "--setting",
    "names",
    multiple=True,
    help="Name of a setting; may be given several times. Default: all.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    help="Final replicas of every arm.",
)
@_studies_option
def _regimes(names: tuple[str, ...], replicas: int, folder: Path) -> None:
    """Measure where Challenger helps on 30 digits, and where it does not.

    Base, Random and Challenger with the same fixed N, alpha, beta and split under several
    settings of initialization, scaling, learning rate, budget and width, on fresh seeds with a
    draw of the 30 images per replica. Prints a Markdown table.
    """
    from tests.benchmarks.regimes import REGIMES, markdown_table, measure_settings, regime

    if unknown := sorted(set(names) - set(REGIMES)):
        raise click.UsageError(f"settings are {', '.join(REGIMES)}, got {', '.join(unknown)}")
    settings = [regime(name, replicas) for name in names or REGIMES]
    found = measure_settings(folder.resolve(), settings, _print_status)
    click.echo("\n".join(markdown_table(found)))


@command.command("widths")
@click.option(
    "--width",
    "widths",
    type=click.Choice(["1/8", "1/4", "1/2", "1"]),
    multiple=True,
    help="Share of VGG11's filters; may be given several times. Default: all. 1 takes the setting "
    "that 1/2 chose.",
)
@_studies_option
def _widths(widths: tuple[str, ...], folder: Path) -> None:
    """Measure table 1 on 30 digits over width, normalization, initialization and learning rate.

    The studies are those of 'regimes'. Prints a Markdown table.
    """
    from tests.benchmarks.regimes import markdown_table, measure_settings
    from tests.benchmarks.widths import REPLICAS, width_settings

    root = folder.resolve()
    settings = (one for width in widths or REPLICAS for one in width_settings(width, root))
    click.echo("\n".join(markdown_table(measure_settings(root, settings, _print_status))))


@command.command("confirmation")
def _confirmation() -> None:
    """Simulate 300 noisy searches with and without confirmation, at equal cost."""
    from tests.benchmarks.confirmation import main

    main()


@command.command("reproducible")
@_json_option
def _reproducible(as_json: bool) -> None:
    """Simulate how long a reproducible search waits for earlier trials.

    200 searches of 120 trials with lognormal durations, for several numbers of places and limits.
    """
    from tests.benchmarks.reproducible import measure_waiting

    found = list(measure_waiting())
    if as_json:
        _print_json({"waiting": [asdict(cost) for cost in found]})
    else:
        tables.print_waiting(found)


@command.command("scaling")
@click.option(
    "--slots",
    "slots",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 4, 16, 64),
    show_default=True,
    help="Trials at a time; may be given several times. What does not fit into memory is left "
    "out.",
)
@click.option(
    "--seconds",
    "trial_s",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 10),
    show_default=True,
    help="How long a trial sleeps; may be given several times.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Trials per slot.",
)
@click.option(
    "--at-once",
    is_flag=True,
    help="Let all slots begin at the same moment, so that their reports come in bursts. "
    "Default: one after the other, over the length of a trial.",
)
@click.option(
    "--much",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    help="Trials of the study of which status, report and memory are measured; 0 for none.",
)
@_folder_option
@_json_option
def _scaling(
    slots: tuple[int, ...],
    much: int,
    folder: Path | None,
    as_json: bool,
    **requested: Any,  # noqa: ANN401 (fields of ScalingConfig)
) -> None:
    """Measure slot utilization of a growing cluster, and a study of very many trials.

    Nodes are processes of this machine and trials sleep, so that only the driver, its
    database and Ray are measured.
    """
    from tests.benchmarks.scaling import ScalingConfig

    scaling_config = ScalingConfig(slots=_affordable(slots), **requested)
    with _work_folder(folder) as root:
        utilizations = _utilizations(root, scaling_config)
        found = _large_study(root / "much", much)
    left_out = sorted(set(slots) - set(scaling_config.slots))
    if as_json:
        data = {"usage": [asdict(usage) for usage in utilizations], "left_out_slots": left_out}
        _print_json({**data, "much": None if found is None else asdict(found)})
    else:
        tables.print_scaling(utilizations, left_out, found)


def _affordable(slots: tuple[int, ...]) -> tuple[int, ...]:
    import psutil

    from tests.benchmarks.scaling import most_slots

    most = most_slots(psutil.virtual_memory().available)
    return tuple(count for count in sorted(set(slots)) if count <= most)


def _utilizations(root: Path, scaling_config: ScalingConfig) -> list[SlotUtilization]:
    from tests.benchmarks.scaling import measure_scaling, nodes_for
    from tests.support.local_cluster import LocalCluster

    # Ray opens sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as home:
        nodes = LocalCluster(Path(home))
        os.environ.update(nodes.environment())
        try:
            nodes.start(nodes_for(max(scaling_config.slots)))
            return list(measure_scaling(root, scaling_config, nodes.address, _print_status))
        finally:
            nodes.shutdown()


def _large_study(root: Path, trials: int) -> LargeStudyCosts | None:
    if not trials:
        return None
    from tests.benchmarks.large_study import measure_large_study

    _print_status(f"a study of {trials} trials")
    return measure_large_study(root, trials)


@contextmanager
def _work_folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _print_status(text: str) -> None:
    # Results alone go to stdout.
    Console(stderr=True).print(text, markup=False, highlight=False)


def _print_json(data: dict[str, Any]) -> None:
    from study.records.environment import environment

    click.echo(json.dumps({**data, "environment": dict(environment())}, indent=2))
