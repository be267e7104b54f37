"""Metrics over the hidden share, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import (
    Robustness,
    occluded_workloads,
    paired_difference,
    robustness,
    t_interval,
    workloads,
)
from study.sensitivity.intervals import correct_family
from tests.support.trial_tables import (
    DATASET,
    MODEL,
    constant_table,
    make_trial_table,
    with_arm,
    with_final_metrics,
    with_row,
)

WHOLE = {
    "base": (0.80, 0.84, 0.82),
    "random": (0.81, 0.80, 0.85),
    "challenger": (0.90, 0.92, 0.88),
}
RANDOM = {
    "base": {0.25: (0.70, 0.72, 0.71), 1.0: (0.10, 0.12, 0.11)},
    "random": {0.25: (0.71, 0.75, 0.70), 1.0: (0.11, 0.10, 0.10)},
    "challenger": {0.25: (0.85, 0.88, 0.86), 1.0: (0.10, 0.13, 0.12)},
}


def occluded_by(table: TrialTable, arm: str, curve: dict[float, tuple[float, ...]]) -> TrialTable:
    """Return an arm a curve, and half of it with the most relevant first."""
    steeper = {share: tuple(v / 2 for v in values) for share, values in curve.items()}
    metrics = {"occlusion/none": WHOLE[arm]}
    metrics |= {f"occlusion/random/{share}": values for share, values in curve.items()}
    metrics |= {f"occlusion/most_relevant/{share}": v for share, v in steeper.items()}
    return with_final_metrics(table, arm, metrics)


def plain() -> TrialTable:
    values = {arm: {5 if arm == "challenger" else 0: whole} for arm, whole in WHOLE.items()}
    return constant_table(values)


def table_of(curves: dict[str, dict[float, tuple[float, ...]]] = RANDOM) -> TrialTable:
    table = plain()
    for arm, curve in curves.items():
        table = occluded_by(table, arm, curve)
    return table


def record_of(table: TrialTable) -> Robustness:
    return robustness(table, workloads(table)[0])


def test_every_arm_has_a_curve_from_the_whole_sample_to_the_largest_share_for_each_order():
    record = record_of(table_of())
    assert (record.study, record.dataset, record.model) == ("tiny-mnist-top-k", DATASET, MODEL)
    assert [(curve.order, curve.arm, curve.method) for curve in record.curves] == [
        (order, arm, arm) for order in ("random", "most_relevant") for arm in WHOLE
    ]
    assert record.notes == ()
    for curve in record.curves_for("random"):
        assert curve.seeds == (100, 101, 102)
        assert [point.share for point in curve.points] == [0.0, 0.25, 1.0]
        expected = [WHOLE[curve.arm], *RANDOM[curve.arm].values()]
        assert [point.replicas for point in curve.points] == expected
        assert [point.interval for point in curve.points] == [t_interval(v) for v in expected]
    (first, *_) = record.curves_for("most_relevant")
    assert first.points[1].replicas == pytest.approx((0.35, 0.36, 0.355))


def test_differences_to_base_are_paired_and_corrected_over_arms_and_shares_of_an_order():
    base, *others = record_of(table_of()).curves_for("random")
    expected = correct_family(
        {
            (arm, share): paired_difference(RANDOM[arm][share], RANDOM["base"][share])
            for arm in ("random", "challenger")
            for share in (0.25, 1.0)
        }
    )
    found = [point.to_base for curve in others for point in curve.points if point.share]
    assert found == list(expected.values())
    assert found[0].family == 4
    assert [point.to_base for point in base.points] == [None] * 3
    # That of the whole samples is in the comparison, and is not tested twice.
    assert [curve.points[0].to_base for curve in others] == [None] * 2


def test_the_area_is_that_of_trapezoids_over_the_largest_share_per_replica():
    record = record_of(table_of())
    areas = {}
    for curve in record.curves_for("random"):
        values = np.array([point.replicas for point in curve.points])
        areas[curve.arm] = tuple(np.trapezoid(values, [0, 0.25, 1.0], axis=0))
        assert curve.area.replicas == pytest.approx(areas[curve.arm], rel=1e-12)
        assert curve.area.interval == t_interval(curve.area.replicas)
    base, random, ours = record.curves_for("random")
    assert base.area.to_base is None
    expected = correct_family(
        {c.arm: paired_difference(c.area.replicas, base.area.replicas) for c in (random, ours)}
    )
    assert {c.arm: c.area.to_base for c in (random, ours)} == expected


def test_the_area_of_a_curve_that_is_level_is_its_level_at_any_largest_share():
    level = {arm: {0.2: whole, 0.5: whole} for arm, whole in WHOLE.items()}
    for curve in record_of(table_of(level)).curves_for("random"):
        assert curve.area.replicas == pytest.approx(WHOLE[curve.arm], rel=1e-12)


def test_several_labels_are_measured_by_auc():
    table = table_of()
    assert record_of(table).metric == "test/accuracy"
    for arm in table.arms:
        table = with_arm(table, replace(arm, is_multi_label=True))
    assert record_of(table).metric == "test/auc"


def test_an_arm_that_was_not_tested_is_named_and_the_others_are_shown():
    table = table_of({arm: RANDOM[arm] for arm in ("base", "challenger")})
    record = record_of(table)
    assert [curve.arm for curve in record.curves_for("random")] == ["base", "challenger"]
    assert record.notes == (
        "arm 'random' was not tested with hidden inputs; give it 'evaluation.occlusion' in a "
        "study of another name.",
    )


def test_other_shares_than_bases_are_compared_where_both_have_them_and_areas_are_not():
    curves = {**RANDOM, "challenger": {0.25: (0.85, 0.88, 0.86), 0.5: (0.6, 0.7, 0.65)}}
    record = record_of(table_of(curves))
    ours = record.curves_for("random")[2]
    assert [point.to_base is not None for point in ours.points] == [False, True, False]
    assert ours.area.to_base is None
    assert record.notes == (
        "Arm 'challenger' and its Base were tested with different hidden shares; only those that "
        "both have are compared, and their areas are not.",
    )


def test_without_base_there_are_curves_and_a_note():
    table = constant_table({"challenger": {5: WHOLE["challenger"]}})
    record = record_of(occluded_by(table, "challenger", RANDOM["challenger"]))
    (curve,) = record.curves_for("random")
    assert all(point.to_base is None for point in (*curve.points, curve.area))
    assert record.notes == (
        "The study has no base arm on mnist (3 per class) with vgg11, width 0.25.",
    )


def test_a_base_without_results_leaves_the_curves_of_the_others():
    table = table_of()
    failed = replace(table.select("base", "final")[0], state="FAIL", reason="out of memory")
    record = record_of(with_row(table, failed))
    assert [curve.arm for curve in record.curves_for("random")] == ["random", "challenger"]
    assert all(point.to_base is None for curve in record.curves for point in curve.points)
    assert "that trial failed (out of memory)" in record.notes[0]


def test_a_single_replica_has_no_interval():
    table = constant_table({"base": {0: (0.8,)}})
    metrics = {"occlusion/none": (0.8,), "occlusion/random/0.5": (0.5,)}
    table = with_final_metrics(table, "base", {**metrics, "occlusion/most_relevant/0.5": (0.2,)})
    with pytest.raises(ReportError, match=r"but there is none .arm 'base' needs at least 2 final"):
        record_of(table)


def test_only_settings_with_a_finished_occlusion_test_are_named():
    assert occluded_workloads(plain()) == ()
    assert occluded_workloads(make_trial_table()) == ()
    table = table_of({"base": RANDOM["base"]})
    assert occluded_workloads(table) == workloads(table)
    running = replace(table.select("base", "final")[0], state="RUNNING")
    assert occluded_workloads(with_row(table, running)) == ()
    moved = with_arm(table, replace(table.arm("challenger"), dataset="reuters"))
    assert [setting.dataset for setting in occluded_workloads(moved)] == [DATASET]
