"""Result files: every replica's value at every evaluation, one JSON line each.

The driver alone writes them, before it tells anybody else. A line that a crash cut off is
recognised by its missing end and overwritten by the repeated report.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

from study.trial_table import StoredReport


def append_report(path: Path, report: StoredReport) -> None:
    """Add a report durably, to a trial whose folder is there."""
    fields: dict[str, object] = {
        "epoch": report.epoch,
        "time_ms": report.time_ms,
        "metrics": report.metrics,
    }
    if report.usage:
        fields["usage"] = report.usage
    line = json.dumps(fields)
    with path.open("a+b") as file:
        _cut_torn_line(file)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_reports(path: Path) -> tuple[StoredReport, ...]:
    """Read the whole reports of a trial by increasing epoch; none if there is no file."""
    if not path.exists():
        return ()
    *lines, _torn = path.read_bytes().split(b"\n")
    reports = (decode_report(line) for line in lines)
    return tuple(sorted(reports, key=lambda report: report.epoch))


def decode_report(line: bytes) -> StoredReport:
    """Read a whole line; one of the first versions says nothing of what was used."""
    data = json.loads(line)
    return StoredReport(
        epoch=data["epoch"],
        time_ms=data["time_ms"],
        metrics={name: tuple(values) for name, values in data["metrics"].items()},
        usage=data.get("usage", {}),
    )


def _cut_torn_line(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
