"""Stops a study's clock after every so many trials, to measure something else in between.

What a shared machine does hits everything that is measured in turn on it. The listener stands
still in the driver's loop at the beginning of a trial: places, processes and the queue stay as
they are, and the next block goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig


@dataclass(slots=True, kw_only=True)
class Interludes:
    """A listener with a clock; mutable as trials begin. Must be the first to be told.

    Attributes:
        every: Trials in a block.
        play: Called between two blocks, and before the first, with the number of the next one.
        seconds: What each block took that has ended.
        first_report_s: When the first report came, by :func:`time.monotonic`; None before.
    """

    every: int
    play: Callable[[int], None]
    seconds: list[float] = field(default_factory=list)
    first_report_s: float | None = None
    _begun: int = 0
    _since: float = 0.0

    def began(self, entry: Entry, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Count a trial, and stop the clock if it is the first of a block."""
        if self._begun % self.every == 0:
            if self._begun:
                self.seconds.append(time.monotonic() - self._since)
            self.play(self._begun // self.every)
            self._since = time.monotonic()
        self._begun += 1

    def reported(self, key: TrialKey, report: StoredReport) -> None:  # noqa: ARG002
        """Note the first report of all."""
        if self.first_report_s is None:
            self.first_report_s = time.monotonic()

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:
        """Take no notice."""
