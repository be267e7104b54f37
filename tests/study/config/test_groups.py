"""Arms over several datasets in a study file."""

from __future__ import annotations

import pytest

from tests.support.study_files import refusal, study, text
from trainables.datasets import Cifar10, Digits, Mnist
from trainables.models import Vgg11, Vgg16

BASE = "{method: base, name: b1}, {method: base, name: b2, dataset: mnist}, "
GROUP = "{method: challenger, datasets: [digits, {name: mnist, train_per_class: null}]}"


def test_an_arm_over_several_datasets_is_an_arm_per_dataset_with_one_space():
    spec = study(BASE + GROUP)
    first, second = spec.groups["challenger"]
    assert (first.name, second.name) == ("challenger-digits", "challenger-mnist")
    assert isinstance(first.dataset, Digits)
    assert isinstance(second.dataset, Mnist)
    assert first.space == second.space
    assert [arm.is_baseline for arm in spec.arms] == [True, True, False, False]
    assert [arm.search_budget for arm in spec.arms] == [1, 1, 60, 60]


def test_a_member_may_have_a_model_of_its_own():
    base = "{method: base}, {method: base, name: b2, dataset: cifar10, model: vgg16}, "
    group = (
        "{method: challenger, name: two, "
        "datasets: [digits, {dataset: cifar10, model: vgg16, name: color}]}"
    )
    first, second = study(base + group).groups["two"]
    assert isinstance(first.model, Vgg11)
    assert isinstance(second.model, Vgg16)
    assert isinstance(second.dataset, Cifar10)
    assert second.name == "two-color"


def test_the_shared_space_is_what_all_datasets_allow(monkeypatch):
    few = Mnist().info
    from dataclasses import replace

    monkeypatch.setattr(Mnist, "info", property(lambda _: replace(few, n_classes=4)))
    for arm in study(BASE + GROUP).groups["challenger"]:
        assert arm.space.dimensions["top_k"].high == 4
    sweep = GROUP.replace("challenger,", "challenger, sensitivity: [{over: top_k}],")
    swept = [arm.sweeps()["top_k"] for arm in study(BASE + sweep).groups["challenger"]]
    assert swept == [tuple(range(1, 11)), tuple(range(1, 5))]


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (
            BASE + GROUP.replace("challenger,", "challenger, dataset: digits,"),
            "arms[2].dataset is given, and 'datasets' too; remove one of them.",
        ),
        (
            "{method: challenger, datasets: [digits]}",
            "arms[0].datasets must be a list of 2 to 100 datasets, got ['digits']; for one "
            "write 'dataset'.",
        ),
        (
            "{method: challenger, datasets: digits}",
            "arms[0].datasets must be a list of 2 to 100 datasets, got 'digits'; for one "
            "write 'dataset'.",
        ),
        (
            "{method: challenger, datasets: [{dataset: digits, epochs: 3}, mnist]}",
            "arms[0].datasets[0].epochs is not a setting beside 'dataset'; known: dataset, model, "
            "training, name.",
        ),
        (
            "{method: base}, " + GROUP,
            "arm 'challenger-mnist' is searched by its gain over Base, but no arm has method "
            "base, dataset mnist and the same model; add one.",
        ),
        (
            BASE + "{method: random, name: challenger}, " + GROUP,
            "an arm over several datasets is called 'challenger' like another arm; give it a "
            "'name'.",
        ),
        (
            BASE + GROUP.replace("challenger,", "challenger, search: {scheduler: asha},"),
            "arms[2].datasets[0].search.scheduler must be 'none' for an arm over several "
            "datasets, got 'asha': a trial on one of them does not tell how the others go.",
        ),
        (
            BASE + "{method: challenger, datasets: [digits, digits]}",
            "arms[3] would be called 'challenger-digits' like another arm; give it a 'name'.",
        ),
        (
            BASE + "{method: challenger, datasets: [digits, mnits]}",
            "arms[2].datasets[1].dataset is 'mnits', which is not known; did you mean 'mnist'?",
        ),
    ],
)
def test_what_is_wrong_is_said(arms, message):
    assert refusal(text(arms)) == message


def test_what_is_legal_on_one_dataset_may_not_be_on_another():
    arm = study("{method: challenger}").arms[0]
    point = arm.example_point()
    assert arm.rejection_reason(point) is None
    assert (
        arm.rejection_reason({**point, "top_k": 11})
        == "method.top_k must not exceed the 10 classes, got 11."
    )
