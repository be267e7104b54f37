"""A benchmark as a subcommand: its options, what it measures, and how that is printed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Subcommand:
    """One benchmark of ``python -m trainables.benchmark``.

    Attributes:
        summary: What it measures, in a line.
        add_options: Adds its options to a parser.
        measure: Gives a record for the parsed options, which JSON shows as it is, and says
            meanwhile what it is at.
        lines: Writes that record for people, in lines of text.
    """

    summary: str
    add_options: Callable[[ArgumentParser], None]
    measure: Callable[[Namespace, Callable[[str], None]], Any]
    lines: Callable[[Any], list[str]]
