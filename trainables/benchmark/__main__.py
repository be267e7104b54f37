"""``python -m trainables.benchmark``: benchmarks that need torch alone, without Ray."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from trainables.benchmark.replicas_command import REPLICAS
from trainables.benchmark.step_command import STEP
from trainables.benchmark.subcommand import Subcommand
from trainables.errors import TrainableError

SUBCOMMANDS: Mapping[str, Subcommand] = MappingProxyType(
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
    record = subcommand.measure(options, _say)
    lines = [json.dumps(asdict(record), indent=2)] if options.json else subcommand.lines(record)
    sys.stdout.write("\n".join(lines) + "\n")


def _say(text: str) -> None:
    # Results alone go to stdout.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainables.benchmark", description="What training costs, in ratios."
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
