"""Coverage of intervals and level of tests over hundreds of simulated studies.

Final trials as they come: accuracies of a few replicas on 500 test samples, with an effect of
each seed that arms share, through the tables and functions that a report uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.records.trial_table import TrialTable
from study.sensitivity import compare, sweep_curve
from tests.support.trial_tables import constant_table, final_row

METRIC = "test/accuracy"
STUDIES, REPLICAS, SAMPLES = 300, 5, 500
LEVELS: dict[str, tuple[float, ...]] = {"base": (0.47,), "challenger": (0.55, 0.61, 0.58)}
ARMS = ("base", "random", "challenger", "fgsm", "reldrop")


def accuracies(rng: np.random.Generator, levels: Sequence[float]) -> list[tuple[float, ...]]:
    """Draw each setting's test accuracies: a share of samples, around the level and the seed's."""
    seeds = rng.normal(0, 0.025, REPLICAS)
    chances = np.array(levels)[:, None] + seeds + rng.normal(0, 0.015, (len(levels), REPLICAS))
    return [tuple(map(float, row)) for row in rng.binomial(SAMPLES, chances) / SAMPLES]


def of(template: TrialTable, values: Sequence[tuple[float, ...]]) -> TrialTable:
    """Put values in the place of those of a table's final trials, in their order."""
    rows = [
        final_row(row.arm, row.number, row.params, {METRIC: each})
        for row, each in zip(template.rows, values, strict=True)
    ]
    return replace(template, rows=tuple(rows))


def template(levels: Mapping[str, tuple[float, ...]]) -> TrialTable:
    return constant_table(
        {
            method: {
                (i + 1 if method != "base" else 0): (0.5,) * REPLICAS for i in range(len(each))
            }
            for method, each in levels.items()
        }
    )


def binomial(count: int, share: float, n: int, alternative: str = "two-sided") -> float:
    return float(stats.binomtest(count, n, share, alternative=alternative).pvalue)


@pytest.fixture(scope="module")
def curves():
    rng, table = np.random.default_rng(20), template(LEVELS)
    levels = [level for each in LEVELS.values() for level in each]
    return [
        sweep_curve(of(table, accuracies(rng, levels)), "challenger", "top_k", METRIC)
        for _ in range(STUDIES)
    ]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_interval_of_a_curves_point_covers_the_truth_in_92_to_98_of_100_studies(curves, place):
    truth = LEVELS["challenger"][place]
    covered = sum(not curve.points[place].interval.excludes(truth) for curve in curves)
    assert 0.92 <= covered / STUDIES <= 0.98


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_interval_of_a_points_difference_to_base_does_too(curves, place):
    truth = LEVELS["challenger"][place] - LEVELS["base"][0]
    covered = sum(
        not curve.points[place].to_base.difference.interval.excludes(truth) for curve in curves
    )
    assert 0.92 <= covered / STUDIES <= 0.98


def test_the_interval_of_base_does_too(curves):
    covered = sum(not curve.controls[0].interval.excludes(LEVELS["base"][0]) for curve in curves)
    assert 0.92 <= covered / STUDIES <= 0.98


def test_pairing_by_seed_makes_the_intervals_of_differences_narrower(curves):
    paired = np.mean([c.points[0].to_base.difference.interval.width for c in curves])
    each = np.mean([c.points[0].interval.width for c in curves])
    assert paired < 1.2 * each  # unpaired would be √2 of it


@pytest.fixture(scope="module")
def compared():
    """Compare arms that are all the same with Base, in 600 studies."""
    rng = np.random.default_rng(21)
    table = template(dict.fromkeys(ARMS, (0.55,)))
    return [compare(of(table, accuracies(rng, [0.55] * len(ARMS))), (METRIC,)) for _ in range(600)]


def differences(comparison) -> list:
    return [row.get(METRIC).to_control for row in comparison.rows if row.method != "base"]


@pytest.mark.parametrize("place", range(4))
def test_without_effect_an_arm_seems_to_differ_in_5_of_100_studies(compared, place):
    wrong = sum(differences(one)[place].difference.p_value < 0.05 for one in compared)
    assert binomial(wrong, 0.05, len(compared)) > 0.01


def test_without_effect_at_most_5_percent_of_studies_find_a_difference(compared):
    wrong = sum(any(d.p_holm < 0.05 for d in differences(one)) for one in compared)
    said = sum(any(d.is_significant for d in differences(one)) for one in compared)
    assert binomial(wrong, 0.05, len(compared), "greater") > 0.01
    assert said <= wrong


def test_without_holm_some_arm_would_seem_to_differ_far_more_often(compared):
    """The family's rate is what is corrected: this shows that the test above can fail."""
    wrong = sum(any(d.difference.p_value < 0.05 for d in differences(one)) for one in compared)
    assert binomial(wrong, 0.05, len(compared), "greater") < 0.001


def test_an_effect_that_is_there_is_found():
    rng = np.random.default_rng(22)
    table = template({"base": (0.47,), "challenger": (0.55,)})
    found = sum(
        differences(compare(of(table, accuracies(rng, (0.47, 0.55))), (METRIC,)))[0].is_significant
        for _ in range(100)
    )
    assert found > 70
