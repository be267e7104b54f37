"""A paragraph of the written summary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and statements made from numbers.

    Attributes:
        title: Heading.
        statements: Each one or a few sentences.
    """

    title: str
    statements: tuple[str, ...]
