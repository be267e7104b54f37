"""A trial's result file, line by line: what the study's own reader would overlook is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.store.results import decode_report
from study.trial_table import StoredReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLines:
    """What stands in a result file.

    Attributes:
        reports: Its whole lines in the order of the file, repeated ones included.
        is_torn: Whether anything else stands in it: the beginning of a line, or no JSON.
    """

    reports: tuple[StoredReport, ...] = ()
    is_torn: bool = False

    @property
    def epochs(self) -> list[int]:
        """Epochs in the order of the file."""
        return [report.epoch for report in self.reports]


def read_result_lines(path: Path) -> ResultLines:
    """Read a result file; one that is missing has no lines."""
    if not path.exists():
        return ResultLines()
    *lines, end = path.read_bytes().split(b"\n")
    decoded = [_decoded(line) for line in lines]
    reports = tuple(report for report in decoded if report is not None)
    return ResultLines(reports=reports, is_torn=bool(end) or len(reports) < len(lines))


def _decoded(line: bytes) -> StoredReport | None:
    try:
        return decode_report(line)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
