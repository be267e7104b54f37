"""The race of an arm's best search trials on fresh validation seeds, from which one is chosen.

The best of many noisy trials owes much of its lead to luck. So the best few are trained again, in
rounds, on seeds that no search trial had; all of a round on the same ones. After each round a
candidate that is behind the leader beyond doubt is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from search_spaces import ParamValue
from study.config.schema import Confirm
from study.storage.trial_store import TrialRecord

# Of a candidate that is as good as the leader, one in a hundred is dropped per comparison.
_DOUBT = 0.01
# Of metrics in steps of one sample, fewer differences may be equal by chance.
_FEWEST = 5


def candidates(
    records: Iterable[TrialRecord], top: int, *, maximize: bool
) -> tuple[Mapping[str, ParamValue], ...]:
    """Return the points of the best complete search trials, each point once, the best first."""
    sign = 1 if maximize else -1
    complete = [r for r in records if r.state == "COMPLETE" and r.value is not None]
    ranked = sorted(complete, key=lambda r: (-sign * (r.value or 0.0), r.key.number))
    found: list[Mapping[str, ParamValue]] = []
    for record in ranked:
        if dict(record.params) not in [dict(params) for params in found]:
            found.append(record.params)
    return tuple(found[:top])


def survivors(values: Mapping[int, Sequence[float]], *, maximize: bool) -> tuple[int, ...]:
    """Return the candidates that may still be the best.

    Args:
        values: Candidate to its values so far, those of the same seeds in the same order.
        maximize: Whether larger values are better.

    Returns:
        The leader, by its mean, and those that a paired one-sided t test at 1 % does not place
        behind it, with five values or more; in the order of ``values``.
    """
    # When there is a race: a driver starts without scipy.
    from scipy import stats

    sign = 1.0 if maximize else -1.0
    leader = leading(values, maximize=maximize)
    kept = []
    for candidate, own in values.items():
        lead = sign * (np.asarray(values[leader]) - np.asarray(own))
        if candidate == leader or len(lead) < _FEWEST:
            kept.append(candidate)
            continue
        error = lead.std(ddof=1) / np.sqrt(len(lead))
        if lead.mean() <= stats.t.ppf(1 - _DOUBT, len(lead) - 1) * error:
            kept.append(candidate)
    return tuple(kept)


def leading(values: Mapping[int, Sequence[float]], *, maximize: bool) -> int:
    """Return the candidate with the best mean, the first of equals."""
    sign = 1.0 if maximize else -1.0
    return max(
        values, key=lambda candidate: (sign * float(np.mean(values[candidate])), -candidate)
    )


class Race:
    """The state of a race: what is to be trained next, and the choice once nothing is.

    A function of the candidates and of the results so far alone, so that an interrupted race goes
    on as it would have.
    """

    def __init__(
        self,
        confirm: Confirm,
        points: Sequence[Mapping[str, ParamValue]],
        results: Mapping[int, Mapping[int, Sequence[float] | None]],
        *,
        maximize: bool,
    ) -> None:
        """Follow a race.

        Args:
            confirm: Its settings.
            points: The candidates.
            results: Last seed of a round (:attr:`Confirm.ends`) to candidate to its values, None
                for one that failed; a candidate whose trial has not ended is left out.
            maximize: Whether larger values are better.
        """
        self.points = tuple(points)
        """The candidates."""
        self.pending: tuple[tuple[int, int], ...] = ()
        """Last seed of the round and candidate, of each trial that has no result yet."""
        self.chosen: Mapping[str, ParamValue] | None = None
        """The chosen point, or None while trials are pending, or if all failed."""
        alive = tuple(range(len(points)))
        values: dict[int, list[float]] = {candidate: [] for candidate in alive}
        for end in confirm.ends:
            found = results.get(end, {})
            self.pending = tuple((end, one) for one in alive if one not in found)
            if self.pending:
                return
            for one in alive:
                own = found[one]
                values[one] = values[one] + list(own) if own is not None else []
            alive = tuple(one for one in alive if values[one])
            if not alive:
                return
            alive = survivors({one: values[one] for one in alive}, maximize=maximize)
            if len(alive) == 1:
                break
        best = leading({one: values[one] for one in alive}, maximize=maximize)
        self.chosen = points[best]
