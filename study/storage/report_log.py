"""The report log of a trial, and its end.

The log has one JSON line per evaluation, each with a checksum over all before it. The driver
alone writes it, before the trial store and the callbacks. A line that a crash cut off has no
line end, and is overwritten by the repeated report.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Final, Literal, TypeAlias

import pydantic.dataclasses
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from study.records.trial_table import StoredReport
from study.storage.json_record import checksum

_ENDING: Final = b', "checksum": "%s"}'
_ENDING_LENGTH: Final = len(_ENDING % b"0123456789abcdef")
_TAIL_BYTES: Final = 1 << 16


class _Line(TypedDict):
    epoch: Annotated[int, Field(ge=0)]
    time_ms: int
    metrics: dict[str, tuple[FiniteFloat, ...]]
    usage: dict[str, FiniteFloat]


_LINE: Final = TypeAdapter(_Line)


FinishedState: TypeAlias = Literal["COMPLETE", "PRUNED", "FAIL"]


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
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
    value: FiniteFloat | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLog:
    """What a report log holds.

    Attributes:
        reports: Its whole reports in the order of the file, up to the first damage.
        checksums: The checksum of each of them.
        damage: What is wrong with the first other line, or None.
        is_cut: Whether it ends within a line, as a crash leaves it.
    """

    reports: tuple[StoredReport, ...] = ()
    checksums: tuple[str, ...] = ()
    damage: str | None = None
    is_cut: bool = False


def append_report(path: Path, report: StoredReport, digest: str) -> None:
    """Append a report durably to the log of a trial that was begun.

    Args:
        path: The log, which exists.
        report: The report; its numbers are finite.
        digest: The digest of the trial, which no other trial has.
    """
    fields = {"epoch": report.epoch, "time_ms": report.time_ms, "metrics": report.metrics}
    body = json.dumps({**fields, "usage": report.usage}, allow_nan=False).encode()[:-1]
    with path.open("r+b") as file:
        before = _last_checksum(file) or digest
        file.write(body + _ENDING % _checksum(before, body).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_reports(path: Path, digest: str, replicas: int, epochs: int) -> ReportLog:
    """Read the log of a trial.

    Args:
        path: The log; FileNotFoundError if there is none.
        digest: The digest of the trial.
        replicas: How many values each metric has.
        epochs: The largest epoch.
    """
    *lines, cut = path.read_bytes().split(b"\n")
    reports: list[StoredReport] = []
    checksums: list[str] = []
    damage = None
    before = digest
    for number, line in enumerate(lines, start=1):
        body = line[:-_ENDING_LENGTH]
        before = _checksum(before, body)
        try:
            if line[-_ENDING_LENGTH:] != _ENDING % before.encode():
                raise ValueError("was altered, or is of another trial")
            reports.append(_decode(body, replicas, epochs))
        except ValueError as error:
            damage = f"line {number} {error}"
            break
        checksums.append(before)
    return ReportLog(
        reports=tuple(reports), checksums=tuple(checksums), damage=damage, is_cut=bool(cut)
    )


def decode_report(line: bytes) -> StoredReport:
    """Decode a complete line without looking at its checksum; ValueError if it is no report."""
    try:
        fields = _LINE.validate_json(line[:-_ENDING_LENGTH] + b"}")
    except ValidationError as error:
        (first, *_) = error.errors()
        raise ValueError(
            f"holds no report ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        ) from None
    return StoredReport(**fields)


def _decode(body: bytes, replicas: int, epochs: int) -> StoredReport:
    report = decode_report(body + _ENDING % b"0123456789abcdef")
    if report.epoch > epochs:
        raise ValueError(f"is of epoch {report.epoch} of {epochs}")
    for name, values in report.metrics.items():
        if len(values) != replicas:
            raise ValueError(f"has {len(values)} values of {name} for {replicas} replicas")
    return report


def _checksum(before: str, body: bytes) -> str:
    return checksum(before.encode() + body)


def _last_checksum(file: IO[bytes]) -> str | None:
    """Cut off an unfinished line, go to the end, and return the last line's checksum, if any."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - _TAIL_BYTES, 0)
    file.seek(start)
    tail = file.read()
    while start and b"\n" not in tail:
        # One line is longer.
        start = max(start - _TAIL_BYTES, 0)
        file.seek(start)
        tail = file.read()
    end = start + tail.rfind(b"\n") + 1
    file.truncate(end)
    file.seek(end)
    return tail[: end - start][-19:-3].decode("ascii", "replace") if end else None
