"""The files of a trial: what it is, its report log and its end, each checked when it is read.

``trial.json`` says what the trial is. The report log begins from its digest, and ``end.json``
holds the checksum of the log's last line, so that no file of another trial, and no part of one,
passes as this trial's.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import pydantic.dataclasses
from pydantic import Field, FiniteFloat, StrictBool, StrictInt, StrictStr

from study.records.errors import StoreError
from study.records.trial_table import PhaseName, StoredReport
from study.storage.json_record import (
    DamagedFileError,
    read_record,
    record_checksum,
    write_record,
)
from study.storage.layout import StudyFolder, TrialKey
from study.storage.report_log import ReportLog, TrialOutcome, read_reports

_Param: TypeAlias = StrictBool | StrictInt | FiniteFloat | StrictStr


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrialIdentity:
    """What a trial is; its digest distinguishes it from every other trial.

    Attributes:
        arm: Name of the arm.
        phase: ``search``, ``confirm`` or ``final``.
        number: Number of the trial within its arm and phase.
        params: Its point.
        seeds: Seeds of the replicas.
        epochs: Full budget.
        config: Hash of the resolved configuration.
        started_ms: When the trial was created, in milliseconds since 1970.
    """

    arm: str
    phase: PhaseName
    number: int
    params: Mapping[str, _Param]
    seeds: tuple[int, ...]
    epochs: int
    config: str
    started_ms: int

    @property
    def key(self) -> TrialKey:
        """The trial's key."""
        return TrialKey(arm=self.arm, phase=self.phase, number=self.number)

    @property
    def digest(self) -> str:
        """Checksum of all of it."""
        return record_checksum(self)


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The end of a trial, with the number of its reports and the checksum of the last one."""

    outcome: TrialOutcome
    reports: Annotated[int, Field(ge=0)]
    last_report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """What the files of a trial hold.

    Attributes:
        identity: What the trial is; None if it was not begun, or that is damaged.
        reports: Its whole reports by epoch.
        outcome: Its end, or None.
        damage: What is wrong with the files, in words.
    """

    identity: TrialIdentity | None = None
    reports: tuple[StoredReport, ...] = ()
    outcome: TrialOutcome | None = None
    damage: tuple[str, ...] = ()

    @property
    def is_begun(self) -> bool:
        """Whether there is anything of the trial."""
        return self.identity is not None or bool(self.damage)


def begin_trial(folder: StudyFolder, identity: TrialIdentity) -> Path:
    """Create the folder of a trial with an empty report log, durably; again changes nothing.

    Raises:
        StoreError: If it cannot be created, or if the study's own folder is gone.
    """
    path = folder.make_trial(identity.key)
    if not folder.identity(identity.key).exists():
        try:
            folder.reports(identity.key).touch()
        except OSError as error:
            raise folder.write_error(error) from None
        # Its last step makes both names durable.
        write_record(folder.identity(identity.key), identity)
    return path


def clear_trial(folder: StudyFolder, key: TrialKey) -> None:
    """Delete all files of a trial."""
    shutil.rmtree(folder.trial(key), ignore_errors=False)


def write_outcome(folder: StudyFolder, identity: TrialIdentity, outcome: TrialOutcome) -> None:
    """Write the end of a trial durably; StoreError if the folder cannot be written to."""
    log = _read_log(folder, identity)
    last = log.checksums[-1] if log.checksums else identity.digest
    end = _End(outcome=outcome, reports=len(log.checksums), last_report=last)
    write_record(folder.outcome(identity.key), end)


def read_identity(folder: StudyFolder, key: TrialKey) -> TrialIdentity | None:
    """Read what a trial is; None if it was not begun, DamagedFileError if that is damaged."""
    path = folder.identity(key)
    try:
        identity = read_record(path, TrialIdentity, "it is no trial of this study")
    except FileNotFoundError:
        return None
    if identity.key != key:
        raise DamagedFileError(f"{path} must be of trial {key}, but is of {identity.key}")
    return identity


def read_trial_files(
    folder: StudyFolder, key: TrialKey, identity: TrialIdentity | None = None
) -> TrialFiles:
    """Read the files of a trial; damage is a part of the result.

    Args:
        folder: The study's folder.
        key: The trial.
        identity: What it is, if ``trial.json`` is not to be read.

    Raises:
        StoreError: If they cannot be read.
    """
    damage: list[str] = []
    try:
        # The end first: the log of a trial that runs is complete for the end that was read.
        end = _read_end(folder, key, damage)
        if identity is None:
            identity = read_identity(folder, key)
        if identity is None:
            return TrialFiles(damage=tuple(damage) or _unidentified(folder, key))
        log = _read_log(folder, identity)
    except DamagedFileError as error:
        return TrialFiles(damage=(*damage, _in_words(error, folder, key)))
    except OSError as error:
        raise StoreError(
            f"{folder.trial(key)} must be a folder that can be read, but: {error.strerror}; give "
            "its owner the right to read it."
        ) from None
    reports = log.reports
    if log.damage is not None:
        damage.append(f"reports.jsonl: {log.damage}")
    elif end is not None:
        # What a process wrote that did not know of the end.
        reports = reports[: end.reports]
        damage += _end_damage(log, end, identity)
    by_epoch = {report.epoch: report for report in reversed(reports)}
    return TrialFiles(
        identity=identity,
        reports=tuple(by_epoch[epoch] for epoch in sorted(by_epoch)),
        outcome=None if end is None else end.outcome,
        damage=tuple(damage),
    )


def _read_end(folder: StudyFolder, key: TrialKey, damage: list[str]) -> _End | None:
    try:
        return read_record(folder.outcome(key), _End, "")
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        damage.append(_in_words(error, folder, key))
        return None


def _read_log(folder: StudyFolder, identity: TrialIdentity) -> ReportLog:
    path = folder.reports(identity.key)
    try:
        return read_reports(path, identity.digest, len(identity.seeds), identity.epochs)
    except FileNotFoundError:
        return ReportLog(damage="is missing")


def _unidentified(folder: StudyFolder, key: TrialKey) -> tuple[str, ...]:
    """Return the damage of a trial without ``trial.json``: none if it was being created."""
    reports = folder.reports(key)
    has_result = folder.outcome(key).exists() or (reports.exists() and reports.stat().st_size)
    return ("trial.json is missing",) if has_result else ()


def _end_damage(log: ReportLog, end: _End, identity: TrialIdentity) -> list[str]:
    found = len(log.reports)
    if found < end.reports:
        return [f"reports.jsonl has {found} of {end.reports} reports"]
    last = log.checksums[end.reports - 1] if end.reports else identity.digest
    if last != end.last_report:
        return ["end.json is that of other reports"]
    if end.outcome.state == "COMPLETE":
        if all(report.epoch != identity.epochs for report in log.reports):
            return [f"reports.jsonl has no report of the last epoch, {identity.epochs}"]
        if end.outcome.value is None:
            return ["end.json has no value"]
    return []


def _in_words(error: DamagedFileError, folder: StudyFolder, key: TrialKey) -> str:
    return str(error).removeprefix(f"{folder.trial(key)}/").rstrip("; ")
