"""A study on several hosts, observed through their shared folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from study.storage.layout import StudyFolder
from tests.hosts.host import wait_until
from trainables.runtime.attempts import Attempt, read_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingAttempt:
    """An attempt at a trial, and the time of its first report."""

    trial: str
    attempt: Attempt
    reported_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyObserver:
    """A study's folder. Trials are named by their folders, as ``random/search/00002``."""

    folder: StudyFolder

    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        """Return all attempts at all trials."""
        trials = self.folder.path / "trials"
        files = trials.glob("*/*/*/attempts.jsonl")
        return {str(f.parent.relative_to(trials)): read_attempts(f.parent) for f in files}

    def hosts(self, since_ms: int = 0) -> set[str]:
        """Return the hosts that began a trial since a time."""
        listed = [each for attempts in self.attempts().values() for each in attempts]
        return {each.host for each in listed if each.started_ms >= since_ms}

    def reports(self) -> dict[str, list[tuple[int, int]]]:
        """Return epoch and time in ms of each trial's reports, in their order."""
        trials = self.folder.path / "trials"
        return {
            str(file.parent.relative_to(trials)): [
                (report["epoch"], report["time_ms"])
                for report in map(json.loads, file.read_text("utf-8").splitlines())
            ]
            for file in trials.glob("*/*/*/reports.jsonl")
        }

    def n_reports(self) -> int:
        """Count the reports."""
        return sum(len(reports) for reports in self.reports().values())

    def wait_until_reports(self, more: int) -> None:
        """Wait for so many more reports."""
        before = self.n_reports()
        wait_until(lambda: self.n_reports() >= before + more)

    def wait_until_busy_on(self, host: str) -> str:
        """Wait until a host has a trial with 3 to 30 reports; returns the trial."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [
                name
                for name, attempts in self.attempts().items()
                if attempts
                and attempts[-1].host == host
                and not (self.folder.path / "trials" / name / "end.json").exists()
                and 3 <= len(self.reports().get(name, [])) <= 30
            ]
            return bool(found)

        wait_until(look, lambda: f"{host} trains nothing: {self.attempts()}")
        return found[0]

    def wait_until_taken_up(
        self, since_ms: int, *, trial: str | None = None, host: str | None = None
    ) -> ReportingAttempt:
        """Wait for an attempt after a time that reports, of one trial or host, or of any."""
        found: list[ReportingAttempt] = []

        def look() -> bool:
            found[:] = [
                each
                for each in self._reporting_attempts(since_ms)
                if trial in (None, each.trial) and host in (None, each.attempt.host)
            ]
            return bool(found)

        wait_until(look, lambda: f"{trial or host} is not taken up: {self.attempts()}")
        return min(found, key=lambda each: each.reported_ms)

    def _reporting_attempts(self, since_ms: int) -> Iterator[ReportingAttempt]:
        reports = self.reports()
        for trial, attempts in self.attempts().items():
            for attempt in attempts:
                later = [ms for _, ms in reports.get(trial, []) if ms > attempt.started_ms]
                if attempt.started_ms > since_ms and later:
                    yield ReportingAttempt(trial=trial, attempt=attempt, reported_ms=later[0])


def now_ms() -> int:
    """Return the time in the unit of attempts and reports."""
    return int(time.time() * 1000)
