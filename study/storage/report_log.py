"""The files of a trial: its report log, one JSON line per evaluation, and its outcome.

The driver alone writes them, before the trial store and the callbacks. A line that a crash cut
off has no line end, and is overwritten by the repeated report.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias

from study.records.trial_table import StoredReport
from study.storage.atomic_write import write_atomic

FinishedState: TypeAlias = Literal["COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """The end of a trial.

    Attributes:
        state: ``COMPLETE`` after the full budget, ``PRUNED`` by a scheduler, or ``FAIL``.
        value: Mean objective after the last epoch, of a complete trial.
        reason: Why it failed.
        finished_ms: When, in milliseconds since 1970.
    """

    state: FinishedState
    finished_ms: int
    value: float | None = None
    reason: str | None = None


def write_outcome(path: Path, outcome: TrialOutcome) -> None:
    """Write the end of a trial durably; StoreError if the folder cannot be written to."""
    write_atomic(path, json.dumps(asdict(outcome)), is_durable=True)


def read_outcome(path: Path) -> TrialOutcome | None:
    """Read the end of a trial; None if it still runs."""
    if not path.exists():
        return None
    return TrialOutcome(**json.loads(path.read_text(encoding="utf-8")))


def append_report(path: Path, report: StoredReport) -> None:
    """Append a report durably to the log of a trial whose folder exists."""
    fields = {"epoch": report.epoch, "time_ms": report.time_ms, "metrics": report.metrics}
    usage = {"usage": report.usage} if report.usage else {}
    line = json.dumps({**fields, **usage})
    with path.open("a+b") as file:
        _truncate_partial_line(file)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_reports(path: Path) -> tuple[StoredReport, ...]:
    """Read the complete reports of a trial by epoch; none if there is no file."""
    if not path.exists():
        return ()
    *lines, _partial = path.read_bytes().split(b"\n")
    reports = (decode_report(line) for line in lines)
    return tuple(sorted(reports, key=lambda report: report.epoch))


def decode_report(line: bytes) -> StoredReport:
    """Decode a complete line."""
    data = json.loads(line)
    return StoredReport(
        epoch=data["epoch"],
        time_ms=data["time_ms"],
        metrics={name: tuple(values) for name, values in data["metrics"].items()},
        usage=data.get("usage", {}),
    )


def _truncate_partial_line(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
