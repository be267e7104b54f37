"""The accuracy of the majority class, where it is shown."""

from __future__ import annotations

from dataclasses import replace

from study.sensitivity import MajorityClass, majority_class, settings, t_interval
from study.trial_table import TrialTable
from tests.study.factories import hand_made, with_arm, with_final_metrics, with_row

VALUES = (0.36, 0.36, 0.36)


def texts(values: dict[str, tuple[float, ...]], domain: str = "text") -> TrialTable:
    table = hand_made({"base": {0: (0.4, 0.5, 0.45)}, "challenger": {5: (0.7, 0.72, 0.69)}})
    for arm in table.arms:
        table = with_arm(table, replace(arm, domain=domain))
    for name, found in values.items():
        table = with_final_metrics(table, name, {"test/majority_accuracy": found})
    return table


def majority_of(table: TrialTable) -> MajorityClass | None:
    return majority_class(table, settings(table)[0])


def test_texts_have_the_majority_of_the_first_arm_that_has_a_result():
    expected = MajorityClass(replicas=VALUES, interval=t_interval(VALUES))
    assert majority_of(texts({"base": VALUES, "challenger": (0.1, 0.2, 0.3)})) == expected
    table = texts({"base": (0.1, 0.2, 0.3), "challenger": VALUES})
    failed = replace(table.select("base", "final")[0], state="FAIL")
    assert majority_of(with_row(table, failed)) == expected


def test_without_a_result_of_two_replicas_there_is_none():
    assert majority_of(texts({})) is None
    assert majority_of(texts({"base": (0.5,)})) is None


def test_images_and_series_have_none():
    for domain in ("image", "series"):
        assert majority_of(texts({"base": VALUES}, domain)) is None
