"""One line of an audit: what must be, what was found, and whether they are the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_MOST_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, and how it stands.

    Attributes:
        name: What was looked at.
        expected: What must be there.
        found: What is there.
        is_ok: Whether they are the same.
    """

    name: str
    expected: str
    found: str
    is_ok: bool


def same(name: str, expected: object, found: object) -> Check:
    """Check that two things are equal.

    Example:
        >>> same("final trials asked", 5, 6).is_ok
        False
    """
    return Check(name=name, expected=str(expected), found=str(found), is_ok=expected == found)


def no_difference(name: str, expected: str, differences: Iterable[str]) -> Check:
    """Check that a list of differences is empty; the first of them are shown.

    Example:
        >>> no_difference("checkpoints left", "none", ["a.pt", "b.pt"]).found
        '2: a.pt; b.pt'
    """
    every = list(differences)
    shown = "; ".join(every[:_MOST_EXAMPLES])
    more = "; …" if len(every) > _MOST_EXAMPLES else ""
    found = f"{len(every)}: {shown}{more}" if every else expected
    return Check(name=name, expected=expected, found=found, is_ok=not every)
