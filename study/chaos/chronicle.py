"""What happened while blows were struck, as plain records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from study.chaos.plan import Blow

Outcome: TypeAlias = Literal["survived", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A blow and what came of it at once.

    Attributes:
        blow: What was planned.
        at_s: When it was struck, in seconds since the study first trained.
        outcome: ``survived`` until the audit says otherwise; ``failed`` if the program broke a
            promise on the spot; ``skipped`` if there was nothing to strike.
        note: What was struck, or why not, for people.
    """

    blow: Blow
    at_s: float
    outcome: Outcome
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverEnd:
    """An end of the driver.

    Attributes:
        at_s: When, in seconds since the study first trained.
        code: Its exit code, negative for a signal.
        cause: The blow that explains it, or None.
        said: The end of its log.
    """

    at_s: float
    code: int
    cause: str | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chronicle:
    """A run of blows.

    Attributes:
        struck: Blows in the order in which they were struck.
        ends: Ends of the driver.
        n_starts: How often the driver was started.
        n_planned: How many blows were planned.
        seconds: From the first training to the end of the study or of our patience.
        is_finished: Whether the driver came to its end by itself, with exit code 0.
    """

    struck: tuple[Struck, ...] = ()
    ends: tuple[DriverEnd, ...] = ()
    n_starts: int = 1
    n_planned: int = 0
    seconds: float = 0.0
    is_finished: bool = True

    def of(self, outcome: Outcome) -> Iterable[Struck]:
        """Give the blows that came out so."""
        return (struck for struck in self.struck if struck.outcome == outcome)
