"""``replicas``: replicas of a trial trained as one computation, as a subcommand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from trainables.benchmark.machine_options import add_machine_options, take_device
from trainables.benchmark.replicas import (
    ReplicasOptions,
    ReplicasReport,
    ReplicasRow,
    measure_replicas,
)
from trainables.benchmark.subcommand import Subcommand
from trainables.benchmark.table import table
from trainables.methods import METHODS

_METHODS, _REPLICAS = ("base", "challenger"), (8,)
_HEADER = ("method", "replicas", "gain", "quartiles", "step of all, ms")


def _add_options(parser: ArgumentParser) -> None:
    several = "may be given several times"
    parser.add_argument(
        "--method",
        action="append",
        choices=sorted(METHODS),
        help=f"{several}; default: base and challenger",
    )
    parser.add_argument("--replicas", action="append", type=int, help=f"{several}; default: 8")
    parser.add_argument(
        "--width", type=float, default=1.0, help="factor on VGG11's channels; default: 1"
    )
    parser.add_argument(
        "--batch-size", type=int, default=30, help="samples of a step; default: 30, as the paper"
    )
    add_machine_options(parser)


def _measure(options: Namespace, say: Callable[[str], None]) -> ReplicasReport:
    return measure_replicas(
        ReplicasOptions(
            methods=tuple(options.method or _METHODS),
            replicas=tuple(options.replicas or _REPLICAS),
            width=options.width,
            batch_size=options.batch_size,
            rounds=options.rounds,
            device=take_device(options),
        ),
        say,
    )


def _lines(report: ReplicasReport) -> list[str]:
    about = (
        f"Tiny MNIST, VGG11 of width {report.width:g}, batches of {report.batch_size}: trials per "
        "hour with all replicas as one computation, by one after the other beside it."
    )
    return [str(report.machine), about, "", *table(_HEADER, [_cells(row) for row in report.rows])]


def _cells(row: ReplicasRow) -> tuple[str, ...]:
    return (
        row.method,
        str(row.replicas),
        f"{row.gain.median:.2f}",
        f"{row.gain.low:.2f}–{row.gain.high:.2f}",
        f"{row.step_ms.median:.1f}",
    )


REPLICAS = Subcommand(
    summary="replicas of a trial as one computation, by one after the other",
    add_options=_add_options,
    measure=_measure,
    lines=_lines,
)
