"""The trial table that analyses read, made from the study's own records."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.config.arm import replica_seeds
from study.config.study_spec import parse
from study.results.build import build_trial_table, flat_settings
from tests.support.simulated import StudyFixture, simulate, study_file, study_text


@pytest.fixture
def place(tmp_path: Path) -> StudyFixture:
    return StudyFixture.of(tmp_path, study_text())


def test_rows_stand_by_arm_phase_and_number_with_all_that_is_known(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    table = build_trial_table(place.spec, place.folder, coordinator.state)
    arms = [arm.name for arm in table.arms]
    assert arms == ["base", "random", "challenger"]
    order = [(arms.index(r.arm), r.phase == "final", r.number) for r in table.rows]
    assert order == sorted(order)
    assert len(order) == len(list(coordinator.state.records()))
    for row in table.rows:
        assert row.seeds == replica_seeds(place.spec.seed, row.phase, 2)
        assert row.folder == f"trials/{row.arm}/{row.phase}/{row.number:05d}"
        assert [report.epoch for report in row.reports] == [0, 1, 2, 3]
        last = row.last("val/accuracy")
        assert last is not None
        assert row.value == pytest.approx(sum(last) / 2, rel=1e-15)
    assert (table.study, table.objective, table.direction) == ("tiny", "val/accuracy", "maximize")
    assert table.sampler == "tpe"


def test_an_arm_has_its_choice_once_its_search_has_ended(place: StudyFixture) -> None:
    before = build_trial_table(place.spec, place.folder, place.state())
    assert [arm.best_params for arm in before.arms] == [{}, None, None]
    assert before.rows == ()
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    table = build_trial_table(place.spec, place.folder, coordinator.state)
    for arm in table.arms:
        chosen = table.chosen(arm.name)
        assert chosen is not None
        assert dict(chosen.params) == arm.best_params
    challenger = table.arm("challenger")
    assert challenger.sweeps == {"top_k": (1, 2)}
    assert tuple(challenger.dimensions) == ("top_k", "n_features", "alpha", "beta", "split")
    assert (challenger.n_classes, challenger.n_features, challenger.epochs) == (10, 784, 3)
    assert challenger.model == "vgg11, width 0.0625"
    assert (challenger.domain, challenger.is_multi_label) == ("image", False)


def test_an_arm_names_its_group_and_whose_choice_is_illegal_on_it(tmp_path: Path) -> None:
    ecg = {"name": "ptbxl", "task": "super-diag"}
    arms = [
        {"method": "challenger", "name": "images", "transfer": True},
        {
            "method": "challenger",
            "name": "ecgs",
            "transfer": True,
            "dataset": ecg,
            "model": {"name": "fcn_wang", "width": 0.1},
        },
        {"method": "challenger", "name": "own"},
    ]
    data = study_file(arms=arms, trials=1)
    for arm, high in zip(arms[:2], (10, 5), strict=True):
        arm["search"] = {"space": {"top_k": {"low": high - 1, "high": high}}}
    place = StudyFixture.of(tmp_path, study_text(**data))
    coordinator = place.coordinator()
    before = build_trial_table(place.spec, place.folder, coordinator.state)
    assert [arm.refusals for arm in before.arms] == [{}, {}, {}]
    simulate(coordinator, place.context)
    table = build_trial_table(place.spec, place.folder, coordinator.state)
    images, ecgs, own = table.arms
    assert (ecgs.domain, ecgs.is_multi_label) == ("series", True)
    assert [(arm.transfer, arm.group) for arm in table.arms] == [(True, None)] * 2 + [
        (False, None)
    ]
    assert images.best_params is not None
    assert ecgs.refusals == {
        "images": f"method.top_k must not exceed the 5 classes, got {images.best_params['top_k']}."
    }
    assert images.refusals == own.refusals == {}
    counts = [len(table.select(arm.name, "final")) for arm in table.arms]
    assert counts[:2] == [len(place.spec.arm("images").final_points(images.best_params)) + 1, 1]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"train_per_class": 3}, "digits (3 per class)"),
        ({"train_per_class": None, "train_size": 50}, "digits (50 training samples)"),
        ({"train_per_class": None}, "digits"),
        (
            {"train_per_class": 3, "subset": "per_replica"},
            "digits (3 per class, a subset per replica)",
        ),
    ],
)
def test_a_dataset_is_named_with_the_size_of_its_training_set(
    settings: dict[str, object], text: str
) -> None:
    data = study_file()
    data["defaults"]["dataset"] = {"name": "digits", **settings}
    spec = parse(study_text(**data), "study.yaml")
    assert spec.arms[0].dataset.description == text


def test_fixed_settings_are_flat_and_leave_out_what_trials_vary(place: StudyFixture) -> None:
    settings = flat_settings(place.spec.arm("challenger"))
    assert settings["dataset/train_per_class"] == "1"
    assert settings["training/optimizer/name"] == "adam"
    assert settings["method/attribution/name"] == "epsilon_lrp"
    assert settings["evaluation/occlusion"] == "[]"
    assert not {"method/top_k", "method/alpha"} & set(settings)
    assert all(isinstance(value, str) for value in settings.values())
