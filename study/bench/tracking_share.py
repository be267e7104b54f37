"""What share of a study's time its tracking takes, on the study of ``reuse.yaml``.

Trials are trained one after the other in the driver's process, so that whatever it waits for,
they wait for: on a cluster they go on meanwhile.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.bench.arena import arena
from study.bench.reuse import stated_study
from study.executors import run_inline
from study.handout import Listener
from study.review import DELIVERY_PATIENCE_S, publish
from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.tracking.context import review_of
from study.trial_table import StoredReport
from trainables.config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingShare:
    """Seconds of a study.

    Attributes:
        trials: Its trials.
        study_s: From its begin until MLflow has everything.
        queued_s: Of these, in which its trials waited until what they said was queued.
        last_s: Of these, in which nothing was left but to deliver.
        delivery_cpu_s: CPU seconds of the process that delivers, beside the study.
    """

    trials: int
    study_s: float
    queued_s: float
    last_s: float
    delivery_cpu_s: float

    @property
    def waited(self) -> float:
        """Share of the study's time in which it waited for its tracking."""
        return (self.queued_s + self.last_s) / self.study_s

    def as_data(self) -> dict[str, Any]:
        """Give the figures as plain data."""
        return {
            "trials": self.trials,
            "study_seconds": self.study_s,
            "queued_seconds": self.queued_s,
            "last_seconds": self.last_s,
            "delivery_cpu_seconds": self.delivery_cpu_s,
            "waited": self.waited,
        }


def measure_tracking_share(
    root: Path, say: Callable[[str], None], text: str | None = None
) -> TrackingShare:
    """Run the study to its report and to its last entry in MLflow.

    Args:
        root: An empty folder on the disk that is meant.
        say: Told what is going on.
        text: A study file; None for the stated one.

    Raises:
        StudyError: If the study cannot go on.
    """
    clock = _Clock()
    others_s = _cpu_s_of_children()
    with arena(root, text or stated_study(), (), say, clocked=clock.around) as built:
        began = time.monotonic()
        run_inline(built.conductor, built.surroundings())
        built.require_whole()
        table = built.table()
        publish(table, built.folder, built.delivery.outbox, review_of(built.spec))
        left = time.monotonic()
        built.delivery.finish(DELIVERY_PATIENCE_S, lambda _: None)
        ended = time.monotonic()
    return TrackingShare(
        trials=len(table.rows),
        study_s=ended - began,
        queued_s=clock.seconds,
        last_s=ended - left,
        delivery_cpu_s=_cpu_s_of_children() - others_s,
    )


def _cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Clock:
    """Adds up the time that listeners take; mutable as they are told."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.seconds = 0.0

    def around(self, listener: Listener) -> Listener:
        """Give a listener that passes on what it is told, and adds the time."""
        return _Clocked(self, listener)

    def run(self, call: Callable[[], None]) -> None:
        """Call, and add the time."""
        began = time.monotonic()
        call()
        self.seconds += time.monotonic() - began


@dataclass(frozen=True, slots=True)
class _Clocked:
    clock: _Clock
    listener: Listener

    def began(self, entry: Entry, config: TrialConfig) -> None:
        self.clock.run(lambda: self.listener.began(entry, config))

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        self.clock.run(lambda: self.listener.reported(key, report))

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:
        self.clock.run(lambda: self.listener.ended(entry, reports))
