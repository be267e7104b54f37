"""``python -m tests.benchmarks``: benchmarks that need torch alone, without Ray."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from tests.benchmarks.replicas import REPLICAS
from tests.benchmarks.step import STEP
from tests.benchmarks.torch_benchmark import TorchBenchmark
from trainables.errors import TrainableError

SUBCOMMANDS: Mapping[str, TorchBenchmark] = MappingProxyType(
    {
        "step": STEP,
        "replicas": REPLICAS,
    }
)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table or JSON.

    Args:
        argv: Arguments; None for those of the process.

    Raises:
        TrainableError: If an option is out of range, or a measurement means nothing.
    """
    options = _parser().parse_args(argv)
    subcommand = SUBCOMMANDS[options.subcommand]
    record = subcommand.measure(options, _print_status)
    lines = [json.dumps(asdict(record), indent=2)] if options.json else subcommand.lines(record)
    sys.stdout.write("\n".join(lines) + "\n")


def _print_status(text: str) -> None:
    # Results alone go to stdout.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="What training costs, in ratios."
    )
    parsers = parser.add_subparsers(dest="subcommand", required=True)
    for name, subcommand in SUBCOMMANDS.items():
        one = parsers.add_parser(name, help=subcommand.summary, description=subcommand.summary)
        one.add_argument("--json", action="store_true", help="print JSON in place of a table")
        subcommand.add_options(one)
    return parser


if __name__ == "__main__":
    try:
        main()
    except TrainableError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(2) from None
