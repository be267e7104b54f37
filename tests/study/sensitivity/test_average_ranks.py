from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import average_ranks, critical_difference
from tests.support.trial_tables import constant_table

METHODS = ("base", "random", "fgsm", "challenger")


def table_of(results, methods=METHODS) -> TrialTable:
    """Make a study with a dataset per row of results, and two equal replicas per arm."""
    arms, rows = [], []
    for i, result in enumerate(results):
        one = constant_table({m: {0: (v, v)} for m, v in zip(methods, result, strict=True)})
        arms += [replace(a, name=f"{a.name}-{i}", dataset=f"data{i}") for a in one.arms]
        rows += [replace(row, arm=f"{row.arm}-{i}") for row in one.rows]
    return replace(one, arms=tuple(arms), rows=tuple(rows))


def test_ties_share_the_mean_of_their_ranks_and_ranks_are_averaged_over_datasets():
    results = ((0.9, 0.8, 0.8, 0.1), (0.5, 0.6, 0.7, 0.8), (0.2, 0.2, 0.2, 0.2))
    found = average_ranks(table_of(results), "test/accuracy")
    assert [(one.method, one.ranks) for one in found.methods] == [
        ("fgsm", (2.5, 2.0, 2.5)),
        ("base", (1.0, 4.0, 2.5)),
        ("challenger", (4.0, 1.0, 2.5)),
        ("random", (2.5, 3.0, 2.5)),
    ]
    assert [one.rank for one in found.methods] == pytest.approx([7 / 3, 2.5, 2.5, 8 / 3])


def test_the_p_value_is_friedmans():
    results = np.random.default_rng(5).normal(size=(14, 4)) + np.array([0.0, 0.4, 0.8, 1.0])
    found = average_ranks(table_of(results.tolist()), "test/accuracy")
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*results.T).pvalue, abs=0.04)


def test_the_critical_difference_of_four_methods_on_fourteen_datasets_is_demsars():
    # JMLR 2006, section 3.2.2: 2.569 · √(4·5 / (6·14)) = 1.25.
    assert critical_difference(4, 14) == pytest.approx(2.569 * math.sqrt(20 / 84), abs=5e-4)


def test_methods_further_apart_than_the_critical_difference_are_in_no_common_group():
    results = tuple((0.1, 0.2, 0.3, 0.4) for _ in range(14))
    found = average_ranks(table_of(results), "test/accuracy")
    assert found.insignificant_groups == (
        ("challenger", "fgsm"),
        ("fgsm", "random"),
        ("random", "base"),
    )
    assert found.p_value < 0.001


def test_a_minimized_metric_is_ranked_in_its_direction():
    one = table_of(((0.3, 0.2, 0.1),) * 3, METHODS[:3])
    renamed = tuple(
        replace(
            row,
            reports=tuple(
                replace(report, metrics={"test/nll": report.metrics["test/accuracy"]})
                for report in row.reports
            ),
        )
        for row in one.rows
    )
    found = average_ranks(replace(one, rows=renamed), "test/nll")
    assert [one.method for one in found.methods] == ["fgsm", "random", "base"]


def test_a_method_that_is_not_everywhere_is_left_out_and_named():
    whole = table_of(((0.1, 0.2, 0.3, 0.4),) * 3)
    cut = replace(whole, arms=tuple(arm for arm in whole.arms if arm.name != "fgsm-1"))
    found = average_ranks(cut, "test/accuracy")
    assert [one.method for one in found.methods] == ["challenger", "random", "base"]
    assert found.notes == ("fgsm is not ranked: it has no result on some of the datasets.",)


def test_a_dataset_without_any_result_is_left_out_and_named():
    whole = table_of(((0.1, 0.2, 0.3, 0.4),) * 4)
    rows = tuple(row for row in whole.rows if not row.arm.endswith("-2"))
    found = average_ranks(replace(whole, rows=rows), "test/accuracy")
    assert len(found.workloads) == 3
    assert found.notes == ("No result on data2, vgg11, width 0.25 yet: it is not ranked.",)


@pytest.mark.parametrize(
    ("results", "methods", "message"),
    [
        (((0.1, 0.2, 0.3),) * 2, METHODS[:3], "at least 3 datasets, but there are 2; add arms"),
        (((0.1, 0.2),) * 3, METHODS[:2], "3 methods with results on all, but there are 2; add"),
    ],
)
def test_too_few_datasets_or_methods_are_refused(results, methods, message):
    with pytest.raises(ReportError) as caught:
        average_ranks(table_of(results, methods), "test/accuracy")
    assert message in str(caught.value)
