"""Progress of a running study: bars on a terminal, one line per event in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from study.spec import StudySpec
from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig
from trainables.report import mean

_LaneName: TypeAlias = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class _Lane:
    """Trials of one arm and phase; mutable as they end."""

    total: int
    done: set[int] = field(default_factory=set)
    best: float | None = None


class ProgressListener:
    """Shows what the conductor says."""

    def __init__(self, spec: StudySpec, console: Console) -> None:
        """Serve one run of a study."""
        self._spec = spec
        self._console = console
        self._lanes = {
            (arm.name, phase): _Lane(total=total)
            for arm in spec.arms
            for phase, total in (("search", arm.search_budget), ("final", spec.final_budget(arm)))
            if total
        }
        self._bars: _Bars | None = None
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
        bars = _Bars(self._lanes)
        with Live(bars.view, console=self._console, refresh_per_second=4):
            self._bars = bars
            try:
                yield
            finally:
                self._bars = None

    def began(self, entry: Entry, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Show that a trial begins."""
        if self._bars is not None:
            self._bars.say((entry.key.arm, entry.key.phase), f"trial {entry.key.number} begins")

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """Show the newest value."""
        values = report.metrics.get(self._spec.metric)
        if self._bars is not None and values is not None:
            text = f"trial {key.number} epoch {report.epoch}: {mean(values):.4f}"
            self._bars.say((key.arm, key.phase), text)

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Show that a trial ended."""
        self._note_end(entry)
        if self._bars is not None:
            self._bars.draw(self._lanes)
            if entry.state == "FAIL":
                self.say(f"{entry.key} failed: {entry.reason}")
            return
        done = sum(len(lane.done) for lane in self._lanes.values())
        total = sum(lane.total for lane in self._lanes.values())
        value = "" if entry.value is None else f" {self._spec.metric} {entry.value:.4f}"
        reason = f": {entry.reason}" if entry.reason else ""
        seconds = time.monotonic() - self._started
        self.say(f"[{done}/{total}] {seconds:.0f} s  {entry.key} {entry.state}{value}{reason}")

    def say(self, text: str) -> None:
        """Show a line above the bars; from any thread."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _note_end(self, entry: Entry) -> None:
        lane = self._lanes[entry.key.arm, entry.key.phase]
        lane.done.add(entry.key.number)
        lane.total = max(lane.total, len(lane.done))
        if entry.value is not None and (lane.best is None or self._better(entry.value, lane.best)):
            lane.best = entry.value

    def _better(self, value: float, best: float) -> bool:
        return value > best if self._spec.direction == "maximise" else value < best


class _Bars:
    """One bar for the study with its times, and one for each arm and phase."""

    def __init__(self, lanes: Mapping[_LaneName, _Lane]) -> None:
        self._all = Progress(
            TextColumn("all trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._each = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("[bold]{task.fields[best]}"),
            TextColumn("[dim]{task.fields[newest]}"),
        )
        self._overall = self._all.add_task("all", total=None)
        self._tasks = {
            name: self._each.add_task(" ".join(name), total=lane.total, best="", newest="")
            for name, lane in lanes.items()
        }
        self.view = Group(self._all, self._each)
        self.draw(lanes)

    def say(self, lane: _LaneName, text: str) -> None:
        self._each.update(self._tasks[lane], newest=text)

    def draw(self, lanes: Mapping[_LaneName, _Lane]) -> None:
        self._all.update(
            self._overall,
            completed=sum(len(lane.done) for lane in lanes.values()),
            total=sum(lane.total for lane in lanes.values()),
        )
        for name, lane in lanes.items():
            # Final trials are no contest: the best of a sweep is nobody's choice.
            is_contest = lane.best is not None and name[1] == "search"
            best = f"best {lane.best:.4f}" if is_contest else ""
            self._each.update(
                self._tasks[name], completed=len(lane.done), total=lane.total, best=best
            )
