"""The status of a study, from its trial store and manifest alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from study.storage.layout import Manifest, StudyFolder, read_manifest
from study.storage.lease import is_running
from study.storage.lease_table import lease_holder
from study.storage.trial_store import TrialRecord, TrialStore
from study.tracking.outbox import Outbox

READY: Final = "all nodes are ready to train"


def ready_message(n_nodes: int) -> str:
    """Say that every node can train.

    Example:
        >>> ready(3)
        'all nodes are ready to train: 3'
    """
    return f"{READY}: {n_nodes}"


# A holder beats every three seconds; its clock may differ from this machine's by some more.
_EXPIRED_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStatus:
    """Trials of one arm and phase, counted by state."""

    arm: str
    phase: str
    total: int
    asked: int
    running: int
    complete: int
    pruned: int
    failed: int
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """What ``status`` shows.

    Attributes:
        study: Name of the study.
        activity: ``running``, ``finished`` or ``stopped``.
        runner: Process and host that run it, and since when; None if none does.
        metric: What trials are compared by.
        lanes: Counts by arm and phase.
        failures: Failed trials with their reasons.
        trials_per_hour: Over the trials that ended, or None with fewer than two.
        seconds_left: Estimate from that rate; None unless the study is running.
        waiting_entries: Outbox entries that MLflow has not taken.
        waiting_points: Metric values among them.
        tracking_error: Why the latest delivery failed, or None.
    """

    study: str
    activity: str
    runner: str | None
    metric: str
    phases: tuple[PhaseStatus, ...]
    failures: tuple[str, ...]
    trials_per_hour: float | None
    seconds_left: float | None
    waiting_entries: int
    waiting_points: int
    tracking_error: str | None


def read_status(text: str) -> StudyStatus:
    """Read the status that ``status --json`` printed."""
    given = json.loads(text)
    phases = tuple(PhaseStatus(**counts) for counts in given.pop("phases"))
    return StudyStatus(phases=phases, failures=tuple(given.pop("failures")), **given)


def study_status(
    folder: StudyFolder, database_url: str, *, must_exist: bool = True
) -> StudyStatus:
    """Read the status of a study.

    Args:
        folder: Its folder.
        database_url: URL of the Optuna database.
        must_exist: Whether a missing SQLite file is an error; else nothing was begun yet.

    Raises:
        SpecError: If there is no study there.
        StoreError: If the database cannot be opened.
    """
    manifest = read_manifest(folder.manifest)
    maximize = manifest.direction == "maximize"
    store = TrialStore(database_url, manifest.name, maximize=maximize, must_exist=must_exist)
    entries = [
        entry
        for arm in manifest.search
        for phase in ("search", "final")
        for entry in store.records(arm, "search" if phase == "search" else "final")
    ]
    phases = tuple(
        _phase_status(manifest, arm, phase, total, entries)
        for phase, totals in (("search", manifest.search), ("final", manifest.final))
        for arm, total in totals.items()
        if total
    )
    rate = trials_per_hour(entries)
    left = sum(
        max(counts.total, counts.asked) - counts.asked + counts.running for counts in phases
    )
    runner = running_process_name(folder, database_url)
    active = runner is not None
    pending = Outbox(path=folder.outbox).pending()
    return StudyStatus(
        study=manifest.name,
        runner=runner,
        activity="running" if active else "finished" if left == 0 else "stopped",
        metric=manifest.metric,
        phases=phases,
        failures=tuple(f"{e.key}: {e.reason}" for e in entries if e.state == "FAIL"),
        trials_per_hour=rate,
        seconds_left=left / rate * 3600 if active and rate else None,
        waiting_entries=pending.records,
        waiting_points=pending.metric_points,
        tracking_error=pending.last_error,
    )


def running_process_name(folder: StudyFolder, database_url: str) -> str | None:
    """Name the process that runs a study, here or on another machine; None if none does."""
    found = lease_holder(database_url, folder.path.name)
    if found is None:
        return "a process of this machine" if is_running(folder) else None
    silent_s = (datetime.now(UTC) - found.renewed_at).total_seconds()
    return str(found) if is_running(folder) or silent_s < _EXPIRED_S else None


def trials_per_hour(entries: Sequence[TrialRecord]) -> float | None:
    """Give the rate at which trials ended, from the first end to the last."""
    ends = sorted(entry.finished_ms for entry in entries if entry.finished_ms is not None)
    if len(ends) < 2 or ends[0] == ends[-1]:
        return None
    return (len(ends) - 1) / (ends[-1] - ends[0]) * 3_600_000


def _phase_status(
    manifest: Manifest, arm: str, phase: str, total: int, entries: Sequence[TrialRecord]
) -> PhaseStatus:
    own = [entry for entry in entries if (entry.key.arm, entry.key.phase) == (arm, phase)]
    states = [entry.state for entry in own]
    values = [entry.value for entry in own if entry.value is not None]
    best = max if manifest.direction == "maximize" else min
    return PhaseStatus(
        arm=arm,
        phase=phase,
        total=max(total, len(own)),
        asked=len(own),
        running=states.count("RUNNING"),
        complete=states.count("COMPLETE"),
        pruned=states.count("PRUNED"),
        failed=states.count("FAIL"),
        best=best(values) if values else None,
    )
