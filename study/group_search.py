"""The search of an arm over several datasets: one point, tried on each, told as one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces import ParamValue
from study.spec import Arm
from study.store.folder import TrialKey
from study.store.ledger import Entry, Ledger, SamplerSettings
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
        ledger: Where points are asked for and told.
        entries: Its points by number.
    """

    name: str
    members: tuple[Arm, ...]
    baselines: tuple[Arm, ...]
    metric: str
    ledger: Ledger
    entries: dict[int, Entry] = field(default_factory=dict)

    def read(self) -> None:
        """Take up the points that were asked for before."""
        found = self.ledger.entries(self.name, "search")
        self.entries = {entry.key.number: entry for entry in found}

    @property
    def is_running(self) -> bool:
        """Whether a point is not told yet."""
        return any(entry.state == "RUNNING" for entry in self.entries.values())

    def params(self, number: int, settings: SamplerSettings) -> Mapping[str, ParamValue]:
        """Give the point of a number, asking the sampler if no member was asked for it yet."""
        while number not in self.entries:
            entry = self.ledger.ask(self.name, self.members[0].space, settings)
            self.entries[entry.key.number] = entry
        return self.entries[number].params

    def settle(self, find: Find) -> None:
        """Tell every point whose trials have all ended, on every dataset and of every baseline."""
        bases = [find(arm.name, 0) for arm in self.baselines]
        for number, entry in self.entries.items():
            trials = [find(arm.name, number) for arm in self.members]
            if entry.state == "RUNNING" and all(t and t.is_over for t in (*trials, *bases)):
                self._tell(entry.key, [t for t in trials if t], [b for b in bases if b])
                self.entries[number] = self.ledger.entry(entry.key)

    def _tell(
        self, key: TrialKey, trials: Sequence[MemberTrial], bases: Sequence[MemberTrial]
    ) -> None:
        lost = [t.entry for t in (*trials, *bases) if t.entry.state != "COMPLETE"]
        if lost:
            self.ledger.fail(key, f"{lost[0].key} is {lost[0].state}: {lost[0].reason}")
        else:
            self.ledger.complete(key, mean_gain(self.metric, trials, bases))


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
