"""The search of an arm over several datasets: one point, tried on each, told as one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from study.config import Arm
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.report_log import TrialOutcome
from study.storage.trial_store import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTrial:
    """One search trial of a member or of its baseline.

    Attributes:
        entry: What the ledger says of it.
        reports: Its evaluations by epoch.
    """

    record: TrialRecord
    reports: tuple[StoredReport, ...]

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.record.state != "RUNNING"


# Gives the search trial of an arm by number, or None if it was not begun.
FindTrial = Callable[[str, int], MemberTrial | None]


@dataclass(slots=True, kw_only=True)
class GroupSearch:
    """What is known of a group's search; mutable as its points are asked for and told.

    Attributes:
        name: Name of the group, under which the ledger keeps its points.
        members: Its arms, one per dataset.
        baselines: Base arm of each member, in their order.
        metric: What trials are compared by.
        entries: Its points by number.
    """

    name: str
    members: tuple[Arm, ...]
    baselines: tuple[Arm, ...]
    metric: str
    records: dict[int, TrialRecord] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether a point is not told yet."""
        return any(record.state == "RUNNING" for record in self.records.values())

    def finished(self, find: FindTrial, now_ms: int) -> Iterator[tuple[TrialKey, TrialOutcome]]:
        """Give every point that is to be told: its trials have ended, and all baselines."""
        baseline_trials = [find(arm.name, 0) for arm in self.baselines]
        for number, record in self.records.items():
            trials = [find(arm.name, number) for arm in self.members]
            if record.state == "RUNNING" and all(
                t and t.is_finished for t in (*trials, *baseline_trials)
            ):
                yield (
                    record.key,
                    self._outcome(
                        [t for t in trials if t], [b for b in baseline_trials if b], now_ms
                    ),
                )

    def _outcome(
        self, trials: Sequence[MemberTrial], baseline_trials: Sequence[MemberTrial], now_ms: int
    ) -> TrialOutcome:
        lost = [t.record for t in (*trials, *baseline_trials) if t.record.state != "COMPLETE"]
        if lost:
            reason = f"{lost[0].key} is {lost[0].state}: {lost[0].reason}"
            return TrialOutcome(state="FAIL", reason=reason, finished_ms=now_ms)
        gain = mean_gain(self.metric, trials, baseline_trials)
        return TrialOutcome(state="COMPLETE", value=gain, finished_ms=now_ms)


def mean_gain(
    metric: str, trials: Iterable[MemberTrial], baseline_trials: Iterable[MemberTrial]
) -> float:
    """Average over datasets, and over replicas of equal seeds, what trials have above Base.

    Returns:
        Trial minus Base, in the unit of the metric; better when higher or lower as the metric is.
    """
    pairs = zip(trials, baseline_trials, strict=True)
    return _mean(
        [
            _difference(_last_values(trial, metric), _last_values(base, metric))
            for trial, base in pairs
        ]
    )


def _difference(mine: Sequence[float], base: Sequence[float]) -> float:
    # Seeds of a phase are the same from the first on, however many an arm has.
    return _mean([a - b for a, b in zip(mine, base, strict=False)])


def _last_values(trial: MemberTrial, metric: str) -> tuple[float, ...]:
    return trial.reports[-1].metrics[metric]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
