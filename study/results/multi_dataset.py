"""The search of an arm over several datasets: each point is tried on all, for one objective."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from study.config.arm import Arm
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.report_log import TrialOutcome
from study.storage.trial_store import TrialRecord
from trainables.report import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTrial:
    """One search trial of a member or of its baseline, with its evaluations by epoch."""

    record: TrialRecord
    reports: tuple[StoredReport, ...]

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.record.state != "RUNNING"


# Returns the search trial of an arm by number, or None if there is none.
FindTrial = Callable[[str, int], MemberTrial | None]


@dataclass(slots=True, kw_only=True)
class GroupSearch:
    """State of a group's search; mutable as its points, by number, are created and told."""

    # Under it the trial store has the group's points.
    name: str
    # One arm per dataset, and the Base arm of each.
    members: tuple[Arm, ...]
    baselines: tuple[Arm, ...]
    metric: str
    records: dict[int, TrialRecord] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether a point has not ended."""
        return any(record.state == "RUNNING" for record in self.records.values())

    def finished(self, find: FindTrial, now_ms: int) -> Iterator[tuple[TrialKey, TrialOutcome]]:
        """Yield the outcomes of running points whose trials, and all baselines, have ended."""
        baselines = [find(arm.name, 0) for arm in self.baselines]
        for number, record in self.records.items():
            trials = [find(arm.name, number) for arm in self.members]
            ended = [t for t in (*trials, *baselines) if t is not None and t.is_finished]
            if record.state == "RUNNING" and len(ended) == 2 * len(self.members):
                yield record.key, self._outcome(ended, now_ms)

    def _outcome(self, ended: Sequence[MemberTrial], now_ms: int) -> TrialOutcome:
        """Return the outcome of the members' trials, followed by their baselines'."""
        lost = [trial.record for trial in ended if trial.record.state != "COMPLETE"]
        if lost:
            reason = f"{lost[0].key} is {lost[0].state}: {lost[0].reason}"
            return TrialOutcome(state="FAIL", reason=reason, finished_ms=now_ms)
        gain = mean_gain(self.metric, ended[: len(self.members)], ended[len(self.members) :])
        return TrialOutcome(state="COMPLETE", value=gain, finished_ms=now_ms)


def mean_gain(
    metric: str, trials: Iterable[MemberTrial], baselines: Iterable[MemberTrial]
) -> float:
    """Average trial minus Base over datasets, and over replicas of equal seeds.

    Returns:
        The difference in the unit of the metric; better when higher or lower as the metric is.
    """

    def last(trial: MemberTrial) -> tuple[float, ...]:
        return trial.reports[-1].metrics[metric]

    # Seeds of a phase are the same from the first on, however many replicas an arm has.
    gains = (
        mean(tuple(a - b for a, b in zip(last(trial), last(base), strict=False)))
        for trial, base in zip(trials, baselines, strict=True)
    )
    return mean(tuple(gains))
