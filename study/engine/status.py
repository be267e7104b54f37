"""The status of a study, from its manifest, trial store and result files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from study.results.stored_trials import read_trials, require_undamaged
from study.storage.layout import Manifest, StudyFolder, read_manifest
from study.storage.lease import is_running
from study.storage.lease_table import lease_holder
from study.storage.trial_store import TrialRecord, open_for_reading
from study.tracking.outbox import Outbox

READY: Final = "all nodes are ready to train"


def ready_message(n_nodes: int) -> str:
    """Return the message that every node can train.

    Example:
        >>> ready_message(3)
        'all nodes are ready to train: 3'
    """
    return f"{READY}: {n_nodes}"


# A lease is renewed every three seconds; the clocks of machines may differ by more.
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
    """Status of a study, as ``status`` shows it.

    Attributes:
        study: Name of the study.
        activity: ``running``, ``finished`` or ``stopped``.
        runner: Process and host that run it, and since when; None if there is none.
        metric: The objective.
        phases: Counts by arm and phase.
        failures: Failed trials with their reasons.
        trials_per_hour: Rate of the trials that ended, or None with fewer than two.
        seconds_left: Estimate from that rate; None unless the study is running.
        waiting_entries: Outbox entries not yet in MLflow.
        waiting_points: Metric values among them.
        tracking_error: Error of the latest sync, or None.
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
    """Parse the output of ``status --json``."""
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
        must_exist: Whether a missing SQLite file is an error; else no trial was started.

    Raises:
        SpecError: If there is no study there.
        StoreError: If the database cannot be opened, or it and the result files do not agree.
    """
    manifest = read_manifest(folder.manifest)
    maximize = manifest.direction == "maximize"
    store = open_for_reading(
        database_url,
        manifest.name,
        maximize=maximize,
        must_exist=must_exist or bool(folder.keys()),
    )
    trials = read_trials(folder, store, manifest.search, manifest.groups)
    require_undamaged(folder, trials)
    records = [
        trial.record
        for stored in trials.trials.values()
        for trial in stored.values()
        if trial.record is not None
    ]
    races = Counter(record.key.arm for record in records if record.key.phase == "confirm")
    phases = tuple(
        _phase_status(manifest, arm, phase, total, records)
        for phase, totals in (
            ("search", manifest.search),
            ("confirm", races),
            ("final", manifest.final),
        )
        for arm, total in totals.items()
        if total
    )
    rate = trials_per_hour(records)
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
        failures=tuple(f"{r.key}: {r.reason}" for r in records if r.state == "FAIL"),
        trials_per_hour=rate,
        seconds_left=left / rate * 3600 if active and rate else None,
        waiting_entries=pending.records,
        waiting_points=pending.metric_points,
        tracking_error=pending.last_error,
    )


def running_process_name(folder: StudyFolder, database_url: str) -> str | None:
    """Return the name of the process that runs a study, on any machine; None if there is none."""
    found = lease_holder(database_url, folder.path.name)
    if found is None:
        return "a process of this machine" if is_running(folder) else None
    silent_s = (datetime.now(UTC) - found.renewed_at).total_seconds()
    return str(found) if is_running(folder) or silent_s < _EXPIRED_S else None


def trials_per_hour(records: Sequence[TrialRecord]) -> float | None:
    """Return the rate at which trials end while the study runs; None if that is not known.

    Between two ends that follow each other passes at most what the longest trial takes: a longer
    time is a pause of the study, or a clock that was set, and is counted as that much.
    """
    ended = [(r.finished_ms, r.started_ms) for r in records if r.finished_ms is not None]
    ends = sorted(finished for finished, _ in ended)
    longest = max((finished - started for finished, started in ended), default=0)
    took_ms = sum(min(later - end, longest) for end, later in pairwise(ends))
    return (len(ends) - 1) / took_ms * 3_600_000 if took_ms > 0 else None


def _phase_status(
    manifest: Manifest, arm: str, phase: str, total: int, records: Sequence[TrialRecord]
) -> PhaseStatus:
    own = [r for r in records if (r.key.arm, r.key.phase) == (arm, phase)]
    states = [r.state for r in own]
    values = [r.value for r in own if r.value is not None]
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
