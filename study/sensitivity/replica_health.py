"""Whether an interval over replicas is to be trusted: replicas at chance, and what it covers."""

from __future__ import annotations

from scipy import stats

from study.records.trial_table import ArmRow, TrialRow

CHANCE_CONFIDENCE = 0.99
"""A replica that has learned nothing stays below the bound with this probability."""

_NOUNS = {"image": "images", "text": "texts", "series": "recordings"}


def seeds_at_chance(arm: ArmRow, row: TrialRow) -> tuple[int, ...]:
    """Return the seeds of the replicas whose test accuracy is that of guessing.

    A replica is at chance where its number of correct test samples is at most the 99 % quantile
    of the binomial distribution with the larger of 1/C and the share of the majority class. A mean
    over such replicas and others has two modes, and Student's t interval does not hold: of 5
    replicas of which some stay at chance it covers the truth in 68 % of studies.

    None are returned for data of several labels, and for trials that report no ``test/samples``.
    """
    accuracies = row.last("test/accuracy")
    samples, majorities = row.last("test/samples"), row.last("test/majority_accuracy")
    if accuracies is None or samples is None or majorities is None or arm.is_multi_label:
        return ()
    found = zip(row.seeds, accuracies, samples, majorities, strict=True)
    return tuple(
        seed
        for seed, accuracy, n, majority in found
        if round(accuracy * n)
        <= stats.binom.ppf(CHANCE_CONFIDENCE, round(n), max(majority, 1 / arm.n_classes))
    )


def not_covered(arm: ArmRow) -> tuple[str, ...]:
    """Return the choices that an interval over an arm's replicas does not cover.

    All replicas share their test samples, and their training samples too unless each draws its
    own (``subset: per_replica``): the interval is of the result on these samples.
    """
    noun = _NOUNS[arm.domain]
    return (f"test {noun}",) if arm.draws_subset else (f"training {noun}", f"test {noun}")
