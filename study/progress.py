"""Progress of a running study: bars on a terminal, one line per event in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from study.arm import Arm
from study.folder import TrialKey
from study.ledger import Entry
from study.spec import StudySpec
from study.trial_table import StoredReport
from trainables.config import TrialConfig
from trainables.report import mean


@dataclass(slots=True, kw_only=True)
class _Lane:
    """Trials of one arm and phase; mutable as they end."""

    total: int
    done: set[int] = field(default_factory=set)
    best: float | None = None


class ProgressListener:
    """Shows what the conductor says. Times are wall-clock seconds since the start."""

    def __init__(self, spec: StudySpec, console: Console) -> None:
        """Serve one run of a study."""
        self._spec = spec
        self._console = console
        self._lanes = {
            (arm.name, phase): _Lane(total=total)
            for arm in spec.arms
            for phase, total in _totals(arm)
            if total
        }
        self._bars: Progress | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._started = time.monotonic()

    @contextmanager
    def shown(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Show progress while the study runs, from the trials that ended before."""
        for entry in entries:
            if entry.state != "RUNNING":
                self._note_end(entry)
        if not self._console.is_terminal:
            yield
            return
        with self._make_bars() as bars:
            self._bars = bars
            for lane in self._lanes:
                self._tasks[lane] = bars.add_task(" ".join(lane), total=self._lanes[lane].total)
                self._draw(lane)
            yield
        self._bars = None

    def began(self, entry: Entry, config: TrialConfig) -> None:
        """Show that a trial begins."""

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """Show the newest value on the trial's bar."""
        values = report.metrics.get(self._spec.metric)
        if self._bars is not None and values is not None:
            text = f"trial {key.number} epoch {report.epoch}: {mean(values):.4f}"
            self._bars.update(self._tasks[key.arm, key.phase], newest=text)

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Show that a trial ended."""
        self._note_end(entry)
        lane = entry.key.arm, entry.key.phase
        if self._bars is not None:
            self._draw(lane)
            if entry.state == "FAIL":
                self._bars.console.print(f"[red]{entry.key} failed:[/red] {entry.reason}")
            return
        done = sum(len(one.done) for one in self._lanes.values())
        total = sum(one.total for one in self._lanes.values())
        value = "" if entry.value is None else f" {self._spec.metric} {entry.value:.4f}"
        reason = f": {entry.reason}" if entry.reason else ""
        seconds = time.monotonic() - self._started
        self._console.print(
            f"[{done}/{total}] {seconds:.0f} s  {entry.key} {entry.state}{value}{reason}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def _note_end(self, entry: Entry) -> None:
        lane = self._lanes[entry.key.arm, entry.key.phase]
        lane.done.add(entry.key.number)
        lane.total = max(lane.total, len(lane.done))
        if entry.value is not None and (lane.best is None or self._better(entry.value, lane.best)):
            lane.best = entry.value

    def _better(self, value: float, best: float) -> bool:
        return value > best if self._spec.direction == "maximise" else value < best

    def _draw(self, name: tuple[str, str]) -> None:
        assert self._bars is not None  # only called while bars are shown
        lane = self._lanes[name]
        best = "" if lane.best is None else f"best {lane.best:.4f}"
        self._bars.update(
            self._tasks[name], completed=len(lane.done), total=lane.total, best=best, newest=""
        )

    def _make_bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[bold]{task.fields[best]}"),
            TextColumn("[dim]{task.fields[newest]}"),
            console=self._console,
        )


def _totals(arm: Arm) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("search", arm.search_budget), ("final", arm.final_budget)
