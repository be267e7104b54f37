"""The search of an arm over several datasets: one point, tried on each, told as one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from study.spec import Arm
from study.store.ends import End
from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.trial_table import StoredReport


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTrial:
    """One search trial of a member or of its baseline.

    Attributes:
        entry: What the ledger says of it.
        reports: Its evaluations by epoch.
    """

    entry: Entry
    reports: tuple[StoredReport, ...]

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.entry.state != "RUNNING"


# Gives the search trial of an arm by number, or None if it was not begun.
Find = Callable[[str, int], MemberTrial | None]


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
    entries: dict[int, Entry] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether a point is not told yet."""
        return any(entry.state == "RUNNING" for entry in self.entries.values())

    def settled(self, find: Find, now_ms: int) -> Iterator[tuple[TrialKey, End]]:
        """Give every point that is to be told: its trials have ended, and all baselines."""
        bases = [find(arm.name, 0) for arm in self.baselines]
        for number, entry in self.entries.items():
            trials = [find(arm.name, number) for arm in self.members]
            if entry.state == "RUNNING" and all(t and t.is_over for t in (*trials, *bases)):
                yield (
                    entry.key,
                    self._end([t for t in trials if t], [b for b in bases if b], now_ms),
                )

    def _end(
        self, trials: Sequence[MemberTrial], bases: Sequence[MemberTrial], now_ms: int
    ) -> End:
        lost = [t.entry for t in (*trials, *bases) if t.entry.state != "COMPLETE"]
        if lost:
            reason = f"{lost[0].key} is {lost[0].state}: {lost[0].reason}"
            return End(state="FAIL", reason=reason, finished_ms=now_ms)
        gain = mean_gain(self.metric, trials, bases)
        return End(state="COMPLETE", value=gain, finished_ms=now_ms)


def mean_gain(metric: str, trials: Iterable[MemberTrial], bases: Iterable[MemberTrial]) -> float:
    """Average over datasets, and over replicas of equal seeds, what trials have above Base.

    Returns:
        Trial minus Base, in the unit of the metric; better when higher or lower as the metric is.
    """
    pairs = zip(trials, bases, strict=True)
    return _mean([_gain(_last(trial, metric), _last(base, metric)) for trial, base in pairs])


def _gain(mine: Sequence[float], base: Sequence[float]) -> float:
    # Seeds of a phase are the same from the first on, however many an arm has.
    return _mean([a - b for a, b in zip(mine, base, strict=False)])


def _last(trial: MemberTrial, metric: str) -> tuple[float, ...]:
    return trial.reports[-1].metrics[metric]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
