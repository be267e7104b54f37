"""Result files: every replica's value at every evaluation, one JSON line each.

The driver alone writes them, before it tells anybody else. A line that a crash cut off is
recognised by its missing end and overwritten by the repeated report.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

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
    with path.open("ab") as file:
        _cut_torn_line(path, file.tell())
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


def _cut_torn_line(path: Path, size: int) -> None:
    if size == 0:
        return
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
