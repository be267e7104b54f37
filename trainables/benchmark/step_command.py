"""``step``: the times of training steps under each method, as a subcommand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import torch

from trainables.benchmark.families import FAMILIES
from trainables.benchmark.pairing import LEAST_ROUNDS
from trainables.benchmark.step import StepOptions, StepReport, StepRow, known_ways, measure_steps
from trainables.benchmark.subcommand import Subcommand
from trainables.errors import ConfigError

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
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    parser.add_argument("--threads", type=int, help="threads of the CPU; default: torch's")
    parser.add_argument(
        "--rounds",
        type=int,
        default=LEAST_ROUNDS,
        help=f"measurements of each step; default: {LEAST_ROUNDS}",
    )


def _measure(options: Namespace) -> StepReport:
    if options.threads is not None:
        if options.threads < 1:
            raise ConfigError(f"--threads must be at least 1, got {options.threads}.")
        torch.set_num_threads(options.threads)
    return measure_steps(
        StepOptions(
            families=tuple(options.family or sorted(FAMILIES)),
            batch_sizes=tuple(options.batch_size or _BATCH_SIZES),
            ways=tuple(options.method or known_ways()),
            rounds=options.rounds,
            device=_device(options.device),
        )
    )


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"--device must be cpu or cuda, got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device is cuda, but torch sees no GPU here; run it on a machine with one, or with "
            "--device cpu."
        )
    return torch.device(name)


def _lines(report: StepReport) -> list[str]:
    cells = [_HEADER, *(_cells(row) for row in report.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    missing = [f"not measured: {x.way} on {x.family}: {x.reason}" for x in report.left_out]
    rounds = report.rows[0].ratio.rounds if report.rows else 0
    about = f"Time of a step by that of a plain step beside it; medians of {rounds} rounds."
    return [str(report.machine), about, "", *table, *missing]


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
