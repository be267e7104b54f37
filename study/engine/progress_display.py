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

from study.config import StudySpec
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from trainables.config import TrialConfig
from trainables.report import mean

_ArmPhase: TypeAlias = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class _PhaseProgress:
    """Progress of one arm and phase; mutable as trials end."""

    total: int
    done: set[int] = field(default_factory=set)
    best: float | None = None


class ProgressCallback:
    """Shows the events of trials on a console."""

    def __init__(self, spec: StudySpec, console: Console) -> None:
        """Create the display of one run."""
        self._spec = spec
        self._console = console
        self._phases = {
            (arm.name, phase): _PhaseProgress(total=total)
            for arm in spec.arms
            for phase, total in (("search", arm.search_budget), ("final", spec.final_budget(arm)))
            if total
        }
        self._bars: _ProgressBars | None = None
        self._started = time.monotonic()

    @contextmanager
    def shown(self, records: Sequence[TrialRecord]) -> Iterator[None]:
        """Show progress while the study runs, starting with trials that ended before."""
        for record in records:
            if record.state != "RUNNING":
                self._note_end(record)
        if not self._console.is_terminal:
            yield
            return
        bars = _ProgressBars(self._phases)
        with Live(bars.view, console=self._console, refresh_per_second=4):
            self._bars = bars
            try:
                yield
            finally:
                self._bars = None

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Show the start of a trial."""
        if self._bars is not None:
            self._bars.show_newest(record.key, f"trial {record.key.number} starts")

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        """Show the newest value."""
        values = report.metrics.get(self._spec.metric)
        if self._bars is not None and values is not None:
            text = f"trial {key.number} epoch {report.epoch}: {mean(values):.4f}"
            self._bars.show_newest(key, text)

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Show the end of a trial."""
        self._note_end(record)
        if self._bars is not None:
            self._bars.draw(self._phases)
            if record.state == "FAIL":
                self.notify(f"{record.key} failed: {record.reason}")
            return
        done = sum(len(counts.done) for counts in self._phases.values())
        total = sum(counts.total for counts in self._phases.values())
        value = "" if record.value is None else f" {self._spec.metric} {record.value:.4f}"
        reason = f": {record.reason}" if record.reason else ""
        seconds = time.monotonic() - self._started
        self.notify(
            f"[{done}/{total}] {seconds:.0f} s  {record.key} {record.state}{value}{reason}"
        )

    def notify(self, text: str) -> None:
        """Print a line above the bars; from any thread."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _note_end(self, record: TrialRecord) -> None:
        counts = self._phases[record.key.arm, record.key.phase]
        counts.done.add(record.key.number)
        counts.total = max(counts.total, len(counts.done))
        if record.value is not None and (
            counts.best is None or self._better(record.value, counts.best)
        ):
            counts.best = record.value

    def _better(self, value: float, best: float) -> bool:
        return value > best if self._spec.direction == "maximize" else value < best


class _ProgressBars:
    """One bar for the study with its times, and one for each arm and phase."""

    def __init__(self, phases: Mapping[_ArmPhase, _PhaseProgress]) -> None:
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
            name: self._each.add_task(" ".join(name), total=counts.total, best="", newest="")
            for name, counts in phases.items()
        }
        self.view = Group(self._all, self._each)
        self.draw(phases)

    def show_newest(self, key: TrialKey, text: str) -> None:
        self._each.update(self._tasks[key.arm, key.phase], newest=text)

    def draw(self, phases: Mapping[_ArmPhase, _PhaseProgress]) -> None:
        self._all.update(
            self._overall,
            completed=sum(len(counts.done) for counts in phases.values()),
            total=sum(counts.total for counts in phases.values()),
        )
        for name, counts in phases.items():
            # The best of the final trials is not chosen by anything, so it is not shown.
            is_chosen = counts.best is not None and name[1] == "search"
            best = f"best {counts.best:.4f}" if is_chosen else ""
            self._each.update(
                self._tasks[name], completed=len(counts.done), total=counts.total, best=best
            )
