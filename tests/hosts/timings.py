"""What was measured while machines came and went; no test asserts a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Timings:
    """Seconds by what they were needed for; mutable, for they add up."""

    rows: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Measure what happens meanwhile."""
        began = time.monotonic()
        yield
        self.note(what, time.monotonic() - began)

    def note(self, what: str, seconds: float) -> None:
        """Keep a measurement."""
        self.rows.append((what, seconds))

    def table(self) -> str:
        """Write all of them as a table."""
        width = max((len(what) for what, _ in self.rows), default=0)
        return "\n".join(f"{what:<{width}}  {seconds:7.1f} s" for what, seconds in self.rows)
