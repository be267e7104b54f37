"""Progress of a running study: bars on a terminal, one line per event in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

from study.config.arm import Arm
from study.config.study_spec import StudySpec
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from trainables.config import TrialConfig
from trainables.report import mean


def _least_race(arm: Arm) -> int:
    """Return the number of trials of a race that ends after its first round."""
    confirm = arm.search.confirm
    return 0 if confirm is None or not arm.is_searched else min(confirm.top, arm.search.trials)


class ProgressCallback:
    """Shows the events of trials on a console: a bar for the study, one per arm and phase."""

    def __init__(self, spec: StudySpec, console: Console) -> None:
        self._spec = spec
        self._console = console
        self._started = time.monotonic()
        self._ended: set[TrialKey] = set()
        self._best: dict[str, float] = {}
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
        self._tasks = {
            (arm.name, phase): self._each.add_task(
                f"{arm.name} {phase}", total=total, best="", newest=""
            )
            for arm in spec.arms
            for phase, total in (
                ("search", arm.search_budget),
                ("confirm", _least_race(arm)),
                ("final", spec.final_budget(arm)),
            )
            if total
        }
        self._study = self._all.add_task("all", total=self._total)

    @contextmanager
    def shown(self, records: Sequence[TrialRecord]) -> Iterator[None]:
        """Show progress while the study runs, starting with trials that ended before."""
        for record in records:
            if record.state != "RUNNING":
                self._count(record)
        if not self._console.is_terminal:
            yield
            return
        with Live(Group(self._all, self._each), console=self._console, refresh_per_second=4):
            yield

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Show the start of a trial."""
        self._show_newest(record.key, f"trial {record.key.number} starts")

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        """Show the newest value."""
        values = report.metrics.get(self._spec.metric)
        if values is not None:
            self._show_newest(key, f"trial {key.number} epoch {report.epoch}: {mean(values):.4f}")

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Show the end of a trial."""
        self._count(record)
        if self._console.is_terminal:
            if record.state == "FAIL":
                self.notify(f"{record.key} failed: {record.reason}")
            return
        value = "" if record.value is None else f" {self._spec.metric} {record.value:.4f}"
        reason = f": {record.reason}" if record.reason else ""
        seconds = time.monotonic() - self._started
        self.notify(
            f"[{len(self._ended)}/{self._total:.0f}] {seconds:.0f} s  "
            f"{record.key} {record.state}{value}{reason}"
        )

    def notify(self, text: str) -> None:
        """Print a line above the bars; from any thread."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @property
    def _total(self) -> float:
        return sum(task.total or 0 for task in self._each.tasks)

    def _show_newest(self, key: TrialKey, text: str) -> None:
        self._each.update(self._tasks[key.arm, key.phase], newest=text)

    def _count(self, record: TrialRecord) -> None:
        if record.key in self._ended:
            return
        self._ended.add(record.key)
        task = self._each.tasks[self._tasks[record.key.arm, record.key.phase]]
        done = task.completed + 1
        best = self._best_of(record)
        self._each.update(task.id, completed=done, total=max(task.total or 0, done), best=best)
        self._all.update(self._study, completed=len(self._ended), total=self._total)

    def _best_of(self, record: TrialRecord) -> str:
        """Return the best value of an arm's search; nothing is chosen from final trials."""
        arm = record.key.arm
        if record.key.phase == "final":
            return ""
        if record.value is not None:
            best = max if self._spec.direction == "maximize" else min
            self._best[arm] = best(record.value, self._best.get(arm, record.value))
        return f"best {self._best[arm]:.4f}" if arm in self._best else ""
