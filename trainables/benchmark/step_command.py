"""``step``: the times of training steps under each method, as a subcommand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from trainables.benchmark.families import FAMILIES
from trainables.benchmark.machine_options import add_machine_options, take_device
from trainables.benchmark.step import known_ways, measure_steps
from trainables.benchmark.step_report import StepOptions, StepReport, StepRow
from trainables.benchmark.subcommand import Subcommand
from trainables.benchmark.table import table

_BATCH_SIZES = (32, 128)
_HEADER = ("family", "batch", "step", "ratio", "quartiles", "limit", "ratio/limit")


def _add_options(parser: ArgumentParser) -> None:
    several = "may be given several times"
    parser.add_argument(
        "--family", action="append", choices=sorted(FAMILIES), help=f"{several}; default: all"
    )
    parser.add_argument(
        "--batch-size", action="append", type=int, help=f"{several}; default: 32 and 128"
    )
    parser.add_argument(
        "--method", action="append", choices=sorted(known_ways()), help=f"{several}; default: all"
    )
    add_machine_options(parser)


def _measure(options: Namespace, say: Callable[[str], None]) -> StepReport:
    return measure_steps(
        StepOptions(
            families=tuple(options.family or sorted(FAMILIES)),
            batch_sizes=tuple(options.batch_size or _BATCH_SIZES),
            ways=tuple(options.method or known_ways()),
            rounds=options.rounds,
            device=take_device(options),
        ),
        say,
    )


def _lines(report: StepReport) -> list[str]:
    clock = "CPU time" if report.clock == "cpu" else "Time"
    rounds = report.rows[0].ratio.rounds if report.rows else 0
    about = f"{clock} of a step by that of a plain step beside it; medians of {rounds} rounds."
    rows = table(_HEADER, [_cells(row) for row in report.rows])
    missing = [f"not measured: {x.way} on {x.family}: {x.reason}" for x in report.left_out]
    return [str(report.machine), about, "", *rows, *missing]


def _cells(row: StepRow) -> tuple[str, ...]:
    return (
        row.family,
        str(row.batch_size),
        row.way,
        f"{row.ratio.median:.3f}",
        f"{row.ratio.low:.3f}–{row.ratio.high:.3f}",
        f"{row.limit:.3f}",
        f"{row.above_limit:.3f}",
    )


STEP = Subcommand(
    summary="a training step under each method, by a plain step beside it",
    add_options=_add_options,
    measure=_measure,
    lines=_lines,
)
