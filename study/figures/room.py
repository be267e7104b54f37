"""How much room a panel has for words, and how its words are broken to fit."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import pairwise

from study.figures.chart import Axis
from study.figures.extent import Extent
from study.figures.style import WIDTH_INCHES

_CHARACTER_INCHES = 0.075
"""Width of a character, a little more than the mean."""

_LINE_INCHES = 0.14
_MARGIN_INCHES = 0.75
"""What the names of the vertical axis take of a panel's width."""

_RISE = 0.6
"""Height of a slanted name over its length."""

_MOST_LINES, _MOST_TICKS, _MOST_NUMBERS = 3, 12, 9
_NUMBER_INCHES = 0.5
"""Width of a number with decimals, and the space around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The width of one of several panels that stand side by side.

    Attributes:
        columns: How many there are.
    """

    columns: int

    @property
    def inches(self) -> float:
        """Width between the ends of the horizontal axis."""
        return WIDTH_INCHES / self.columns - _MARGIN_INCHES

    def fit(self, title: str) -> str:
        """Break a title into lines that are no wider than the panel."""
        return "\n".join(_wrap(title, self.inches + _MARGIN_INCHES / 2))

    def names(self, axis: Axis, ends: Extent) -> tuple[str, ...]:
        """Give the names along a horizontal axis, broken into lines where that lets them fit."""
        broken = self._broken(axis, ends)
        return tuple(name for _, name in axis.ticks) if broken is None else broken

    def is_slanted(self, axis: Axis, ends: Extent) -> bool:
        """Whether the names stand aslant, since not even their words fit side by side."""
        return self._broken(axis, ends) is None

    def extra_inches(self, axis: Axis, ends: Extent) -> float:
        """Give how much higher a panel must be for names of more than a line."""
        names = self.names(axis, ends)
        if self.is_slanted(axis, ends):
            return max(map(len, names)) * _CHARACTER_INCHES * _RISE
        return max((name.count("\n") for name in names), default=0) * _LINE_INCHES

    def most_ticks(self, axis: Axis, ends: Extent) -> int:
        """Give how many numbers fit side by side."""
        if not axis.is_integer:
            return max(2, min(_MOST_NUMBERS, int(self.inches / _NUMBER_INCHES)))
        longest = max(len(str(round(end))) for end in ends) + 1.5
        return max(2, min(_MOST_TICKS, int(self.inches / (longest * _CHARACTER_INCHES))))

    def _broken(self, axis: Axis, ends: Extent) -> tuple[str, ...] | None:
        """Break each name into a few lines that fit into its place, or give up."""
        places = sorted(place for place, _ in axis.ticks)
        gaps = [(after - before) / (ends[1] - ends[0]) for before, after in pairwise(places)]
        slot = self.inches * min(gaps, default=1.0)
        lines = [_wrap(name, slot) for _, name in axis.ticks]
        widest = max((len(line) for name in lines for line in name), default=0)
        if widest * _CHARACTER_INCHES > slot or any(len(name) > _MOST_LINES for name in lines):
            return None
        return tuple("\n".join(name) for name in lines)


def _wrap(text: str, inches: float) -> list[str]:
    characters = max(1, int(inches / _CHARACTER_INCHES))
    return [
        part
        for line in text.split("\n")
        for part in textwrap.wrap(line, characters, break_long_words=False) or [line]
    ]
