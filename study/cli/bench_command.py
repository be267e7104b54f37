"""``bench``: what a study costs beside its trials, and how far it scales, measured here."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from study.cli.outcome import make_console

if TYPE_CHECKING:
    from study.bench.much import Much
    from study.bench.overhead import Overhead
    from study.bench.scaling import Usage, Wish
    from study.bench.tracking import Tracking
    from trainables.benchmark import Spread

_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


@click.group("bench")
def command() -> None:
    """Measure a training step, the overhead of a study, and how far it scales.

    Every figure is a ratio of things that are measured in turn on this machine.
    """


@command.command("step", context_settings=_PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _step(arguments: tuple[str, ...]) -> None:
    """Measure a challenged step beside a plain one; takes torch alone."""
    _pass_on("step", arguments)


@command.command("replicas", context_settings=_PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _replicas(arguments: tuple[str, ...]) -> None:
    """Measure replicas that train together beside one after the other; takes torch alone."""
    _pass_on("replicas", arguments)


def _folder_option(called: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder on the disk that is meant; emptied of what was measured. Default: a "
        "temporary one.",
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
@_folder_option
@_json_option
def _overhead(trials: int, slots: int, folder: Path | None, as_json: bool) -> None:
    """Measure what a trial costs beside its training.

    A real study, whose trials alone cost nothing: TPE over five dimensions, four reports each,
    with result files, checkpoints, SQLite and MLflow. It is compared with Optuna alone and with
    Tune as it comes, block by block. How many trials at a time one driver could feed is computed
    from it.
    """
    from study.bench.overhead import measure_overhead

    with _room(folder) as root:
        found = measure_overhead(root, trials, slots, _say)
    if as_json:
        _print_json(found.as_data())
    else:
        _print_overhead(found)


@command.command("tracking")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Rounds measured."
)
@_folder_option
@_json_option
def _tracking(rounds: int, folder: Path | None, as_json: bool) -> None:
    """Measure how fast a backlog reaches MLflow.

    A server of its own takes what waited in an outbox, and the same points from MLflow's client
    alone, in turn.
    """
    from study.bench.tracking import measure_tracking

    with _room(folder) as root:
        found = measure_tracking(root, rounds, _say)
    if as_json:
        _print_json(found.as_data())
    else:
        _print_tracking(found)


@command.command("scaling")
@click.option(
    "--slots",
    "slots",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 4, 16, 64),
    show_default=True,
    help="Trials at a time; may be given several times. What the memory does not bear is left "
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
    help="Trials that each place gets.",
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
    trial_s: tuple[int, ...],
    rounds: int,
    much: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Measure how well a growing cluster is used, and a study of very many trials.

    Nodes are processes of this machine and trials sleep, so that the driver, its ledger and Ray
    are what is measured.
    """
    from study.bench.scaling import Wish

    wish = Wish(slots=_bearable(slots), trial_s=trial_s, rounds=rounds)
    with _room(folder) as root:
        usages = _usages(root, wish)
        found = _much(root / "much", much)
    left_out = sorted(set(slots) - set(wish.slots))
    if as_json:
        data = {"usage": [usage.as_data() for usage in usages], "left_out_slots": left_out}
        _print_json({**data, "much": None if found is None else found.as_data()})
    else:
        _print_scaling(usages, left_out, found)


def _bearable(slots: tuple[int, ...]) -> tuple[int, ...]:
    from study.bench.scaling import available_bytes, most_slots

    most = most_slots(available_bytes())
    return tuple(count for count in sorted(set(slots)) if count <= most)


def _usages(root: Path, wish: Wish) -> list[Usage]:
    from cluster.local import LocalCluster
    from study.bench.scaling import measure_scaling, nodes_for

    # Ray opens sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as home:
        nodes = LocalCluster(Path(home))
        os.environ.update(nodes.environment())
        try:
            nodes.start(nodes_for(max(wish.slots)))
            return list(measure_scaling(root, wish, nodes.address, _say))
        finally:
            nodes.shutdown()


def _much(root: Path, trials: int) -> Much | None:
    if not trials:
        return None
    from study.bench.much import measure_much

    _say(f"a study of {trials} trials")
    return measure_much(root, trials)


def _print_scaling(usages: list[Usage], left_out: list[int], much: Much | None) -> None:
    table = Table("trials at a time", "seconds each", "trials", "ideal s", "actual s", "used")
    for each in usages:
        table.add_row(
            str(each.slots),
            f"{each.trial_s:g}",
            str(each.trials),
            f"{each.ideal_s:.1f}",
            f"{each.actual_s:.1f}",
            f"{each.efficiency:.1%}",
        )
    console = make_console()
    console.print(table)
    if left_out:
        console.print(f"left out for want of memory: {', '.join(map(str, left_out))} at a time")
    if much is not None:
        console.print(
            f"{much.trials} trials: status {much.status_s:.1f} s, report {much.report_s:.1f} s, "
            f"driver {much.driver_mib:.0f} MiB, of which {much.driver_own_mib:.0f} for the trials",
            highlight=False,
        )


def _pass_on(name: str, arguments: tuple[str, ...]) -> None:
    from trainables.benchmark.__main__ import main

    main([name, *arguments])


@contextmanager
def _room(folder: Path | None) -> Iterator[Path]:
    """Give an empty folder, and remove it in the end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _say(text: str) -> None:
    # Results alone go to stdout.
    Console(stderr=True).print(text, markup=False, highlight=False)


def _print_json(data: dict[str, Any]) -> None:
    from study.environment import environment

    click.echo(json.dumps({**data, "environment": dict(environment())}, indent=2))


def _print_overhead(found: Overhead) -> None:
    title = f"Overhead: {found.trials} trials, {found.slots} at a time"
    table = _spread_table(title, "seconds per trial")
    rows = {
        "a study, all of it on": found.study,
        "Optuna alone: ask, 4 reports, tell": found.bare_optuna,
        "Tune as it comes": found.stock_tune,
        "study ÷ Optuna alone": found.to_bare_optuna,
        "Tune as it comes ÷ study": found.to_stock_tune,
    }
    for name, spread in rows.items():
        table.add_row(name, *_cells(spread))
    console = make_console()
    console.print(table)
    console.print(f"first report after {found.start_up_s:.1f} s", highlight=False)
    fed = ", ".join(f"{n} trials of {s} s" for s, n in found.largest_clusters())
    console.print(f"one driver could feed, to 95 %, {fed} at a time", highlight=False)


def _print_tracking(found: Tracking) -> None:
    title = f"Tracking: {found.points} points at a time, {found.bare.rounds} rounds"
    table = _spread_table(title, "points per second")
    for name, rate in {
        "a backlog, its runs opened and closed": found.backlog,
        "a backlog of reports alone": found.reports_alone,
        "bare log_batch, 1,000 points in a call": found.bare,
    }.items():
        table.add_row(name, f"{rate.median:.0f}", f"{rate.low:.0f} – {rate.high:.0f}")
    for name, share in {
        "backlog ÷ bare": found.backlog_to_bare,
        "reports alone ÷ bare": found.reports_to_bare,
    }.items():
        table.add_row(name, *_cells(share))
    make_console().print(table)


def _spread_table(title: str, unit: str) -> Table:
    return Table("what", unit, "quartiles", title=title, title_justify="left")


def _cells(spread: Spread) -> tuple[str, str]:
    return f"{spread.median:.3f}", f"{spread.low:.3f} – {spread.high:.3f}"
