"""Arms over several datasets, and settings that are tried elsewhere, on a simulated executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.engine.protocol import TrialAssignment
from study.records.trial_table import StoredReport
from study.results.multi_dataset import MemberTrial, mean_gain
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from tests.study.engine.test_coordinator import CrashPoint, Killed
from tests.support.simulated import StudyFixture, complete, simulate, study_text

SMALL = {"name": "digits", "train_per_class": 1, "val_size": 20, "test_size": 20}
LARGE = {**SMALL, "train_per_class": 2}
MEMBERS = ["both-small", "both-large"]
GROUP = {
    "method": "challenger",
    "name": "both",
    "datasets": [{"dataset": SMALL, "name": "small"}, {"dataset": LARGE, "name": "large"}],
}
BASES = [
    {"method": "base", "name": "base-small"},
    {"method": "base", "name": "base-large", "dataset": LARGE},
]


def place_of(root: Path, **changes: Any) -> StudyFixture:  # noqa: ANN401 (YAML)
    arms = changes.pop("arms", [*BASES, GROUP])
    return StudyFixture.of(root, study_text(arms=arms, trials=4, **changes))


def search(place: StudyFixture, arm: str) -> list[TrialRecord]:
    return place.store().records(arm, "search")


def test_every_point_is_tried_on_each_dataset_and_told_as_the_mean_gain_over_base(tmp_path):
    place = place_of(tmp_path)
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    points = search(place, "both")
    assert [record.state for record in points] == ["COMPLETE"] * 4
    for name in MEMBERS:
        assert [record.params for record in search(place, name)] == [e.params for e in points]
    bases = {name: search(place, name)[0].value for name in ("base-small", "base-large")}
    for i, point in enumerate(points):
        gains = [
            search(place, member)[i].value - bases[base]
            for member, base in zip(MEMBERS, bases, strict=True)
        ]
        assert point.value == pytest.approx(sum(gains) / 2, abs=1e-12)


def test_the_best_point_of_the_group_is_trained_with_fresh_seeds_on_each_dataset(tmp_path):
    place = place_of(tmp_path)
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    best = max(search(place, "both"), key=lambda record: record.value).params
    for name in MEMBERS:
        assert coordinator.state.best(place.spec.arm(name)) == best
        finals = [
            e for e in coordinator.state.records() if (e.key.arm, e.key.phase) == (name, "final")
        ]
        assert [record.params for record in finals] == [best]
    keys = {str(record.key) for record in coordinator.state.records()}
    assert {"base-small/search/0", "base-small/final/0"} <= keys
    assert "base-small/search/1" not in keys
    assert not any(key.startswith("both/") for key in keys)


def test_a_trial_that_fails_on_one_dataset_fails_its_point_with_the_reason(tmp_path):
    place = place_of(tmp_path)
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        if step.key == TrialKey(arm="both-large", phase="search", number=2):
            coordinator.tell_failure(step.key, "diverged")
            continue
        complete(coordinator, step)
    states = {record.key.number: (record.state, record.reason) for record in search(place, "both")}
    assert states.pop(2) == ("FAIL", "both-large/search/2 is FAIL: diverged")
    assert set(states.values()) == {("COMPLETE", None)}
    assert not coordinator.has_work()


def test_a_baseline_that_fails_leaves_the_group_without_a_choice_and_the_study_ends(tmp_path):
    place = place_of(tmp_path)
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        if step.key.arm == "base-large":
            coordinator.tell_failure(step.key, "diverged")
            continue
        complete(coordinator, step)
    assert {record.state for record in search(place, "both")} == {"FAIL"}
    assert coordinator.state.best(place.spec.arm("both-small")) is None
    assert not coordinator.has_work()


def test_a_study_that_is_killed_before_any_of_its_writes_ends_with_the_same_points(
    tmp_path, monkeypatch
):
    changes = {"epochs": 1, "sampler": "random"}
    with monkeypatch.context() as patch:
        death = CrashPoint(patch, None)
        place = place_of(tmp_path / "whole", **changes)
        simulate(place.coordinator(), place.context)
    for at in range(1, death.writes + 1, 7):
        place = place_of(tmp_path / str(at), **changes)
        with monkeypatch.context() as patch:
            CrashPoint(patch, at)
            with pytest.raises(Killed):
                simulate(place.coordinator(), place.context)
        coordinator = place.coordinator()
        simulate(coordinator, place.context)
        points = search(place, "both")
        assert [record.state for record in points] == ["COMPLETE"] * 4
        for name in MEMBERS:
            trials = search(place, name)
            assert [record.params for record in trials] == [e.params for e in points]
            assert {record.state for record in trials} == {"COMPLETE"}
        assert not coordinator.has_work()


def member_trial(values: tuple[float, ...]) -> MemberTrial:
    record = TrialRecord(
        key=TrialKey(arm="a", phase="search", number=0),
        state="COMPLETE",
        params={},
        value=None,
        reason=None,
        started_ms=0,
        finished_ms=1,
    )
    report = StoredReport(epoch=1, time_ms=0, metrics={"val/nll": values})
    return MemberTrial(record=record, reports=(report,))


def test_the_gain_is_paired_by_seed_and_every_dataset_counts_the_same():
    trials = [member_trial((3.0, 5.0)), member_trial((1.0,))]
    bases = [member_trial((2.0, 2.0, 99.0)), member_trial((0.0,))]
    assert mean_gain("val/nll", trials, bases) == ((1.0 + 3.0) / 2 + 1.0) / 2


TRANSFER = [
    *BASES,
    {"method": "challenger", "name": "small", "transfer": True},
    {"method": "challenger", "name": "large", "dataset": LARGE, "transfer": True},
    {"method": "random", "transfer": True},
]


def test_what_each_arm_chose_is_tried_on_the_others_of_its_method(tmp_path):
    place = place_of(tmp_path, arms=TRANSFER)
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    chosen = {name: coordinator.state.best(place.spec.arm(name)) for name in ("small", "large")}
    assert chosen["small"] != chosen["large"]
    for name, other in (("small", "large"), ("large", "small")):
        finals = [
            e for e in coordinator.state.records() if (e.key.arm, e.key.phase) == (name, "final")
        ]
        assert [e.params for e in finals] == [chosen[name], chosen[other]]
    assert (
        sum(e.key.arm == "random" and e.key.phase == "final" for e in coordinator.state.records())
        == 1
    )
    assert not coordinator.has_work()
    assert place.spec.final_budget(place.spec.arm("small")) == 2
    assert place.spec.final_budget(place.spec.arm("random")) == 1


def test_an_arm_that_searches_nothing_has_no_setting_to_try_elsewhere(tmp_path):
    held = {"top_k": 2, "n_features": 0.1, "alpha": 1.0, "beta": 1.0, "split": 0.5}
    arms = [*TRANSFER, {"method": {"name": "challenger", **held}, "name": "held"}]
    arms[-1]["transfer"] = True
    spec = place_of(tmp_path, arms=arms).spec
    assert [arm.name for arm in spec.transfer_sources(spec.arm("small"))] == ["large"]
    assert spec.transfer_sources(spec.arm("held")) == ()


def test_the_choice_of_a_group_is_tried_once_and_its_members_take_none_of_each_other(tmp_path):
    arms = [*BASES, {**GROUP, "transfer": True}, TRANSFER[2]]
    place = place_of(tmp_path, arms=arms)
    alone, member = place.spec.arm("small"), place.spec.arm("both-large")
    assert [arm.name for arm in place.spec.transfer_sources(alone)] == ["both-small"]
    assert [arm.name for arm in place.spec.transfer_sources(member)] == ["small"]
    assert place.spec.final_budget(alone) == 2
