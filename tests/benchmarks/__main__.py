"""``python -m tests.benchmarks``: all benchmarks; ``step`` and ``replicas`` need torch alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from tests.benchmarks.attributions import ATTRIBUTIONS
from tests.benchmarks.replicas import REPLICAS
from tests.benchmarks.step import STEP
from tests.benchmarks.torch_benchmark import TorchBenchmark
from trainables.errors import TrainableError

PROGRAM: Final = "python -m tests.benchmarks"
TORCH_BENCHMARKS: Final[Mapping[str, TorchBenchmark]] = {
    "step": STEP,
    "replicas": REPLICAS,
    "attributions": ATTRIBUTIONS,
}
# Name to summary: help imports neither click nor Ray.
STUDY_BENCHMARKS: Final[Mapping[str, str]] = {
    "overhead": "the overhead of a trial",
    "tracking": "how fast a backlog reaches MLflow, and how long a study waits for it",
    "charts": "how long MLflow's page of charts takes in a browser",
    "reuse": "what a study saves by reuse",
    "regimes": "where Challenger helps on 30 digits, and where it does not",
    "widths": "table 1 over width, normalization, initialization and learning rate",
    "confirmation": "how much regret is saved by confirming the best trials before the choice",
    "reproducible": "how long a reproducible search waits for earlier trials",
    "scaling": "slot utilization of a growing cluster, and a study of very many trials",
}


def main(argv: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    benchmark = TORCH_BENCHMARKS[options.subcommand]
    record = benchmark.measure(options, _print_status)
    lines = [json.dumps(asdict(record), indent=2)] if options.json else benchmark.lines(record)
    sys.stdout.write("\n".join(lines) + "\n")


def _print_status(text: str) -> None:
    # Results alone go to stdout.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Measure training steps, and the overhead, savings and scaling of studies. "
        "Whatever is compared is measured in turn on this machine.",
    )
    parsers = parser.add_subparsers(dest="subcommand", required=True)
    for name, benchmark in TORCH_BENCHMARKS.items():
        one = parsers.add_parser(name, help=benchmark.summary, description=benchmark.summary)
        one.add_argument("--json", action="store_true", help="print JSON in place of a table")
        benchmark.add_options(one)
    for name, summary in STUDY_BENCHMARKS.items():
        parsers.add_parser(name, help=summary)
    return parser


def _run() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in STUDY_BENCHMARKS:
        from study.cli.main import main as run_command
        from tests.benchmarks.study_commands import command

        run_command(command, PROGRAM)
    try:
        main()
    except KeyboardInterrupt:
        _print_status("interrupted.")
        raise SystemExit(130) from None
    except TrainableError as error:
        _print_status(f"{type(error).__name__}: {error}")
        raise SystemExit(2) from None


if __name__ == "__main__":
    _run()
