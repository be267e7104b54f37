"""What always answering the most frequent class would reach: the floor beside a text result."""

from __future__ import annotations

from dataclasses import dataclass

from study.sensitivity.intervals import Interval, t_interval
from study.sensitivity.settings import Setting
from study.trial_table import TrialTable

_METRIC = "test/majority_accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityClass:
    """Accuracy on the test split of the most frequent class of the training split.

    Attributes:
        replicas: Its value per replica; they differ where replicas train on different samples.
        interval: Mean over the replicas and its interval, which is a point where they agree.
    """

    replicas: tuple[float, ...]
    interval: Interval


def majority_class(table: TrialTable, setting: Setting) -> MajorityClass | None:
    """Give the accuracy of the majority class; None where there are no texts or no results.

    It is the same for every arm: that of the first arm with a result of 2 replicas is given.
    """
    for arm in setting.arms:
        chosen = table.chosen(arm.name)
        values = None if chosen is None else chosen.last(_METRIC)
        if arm.domain == "text" and values is not None and len(values) > 1:
            return MajorityClass(replicas=values, interval=t_interval(values))
    return None
