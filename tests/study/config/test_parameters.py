"""Promises that the search space of every method keeps, as its fields declare it."""

from __future__ import annotations

import optuna
import pytest

from search_spaces import (
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Limits,
    SpaceError,
    resolve,
)
from search_spaces.optuna_sampler import suggest_params
from study.config.parameters import arm_rules, dataset_limits, fixed_reason, method_rules, searched
from trainables.attribution import ATTRIBUTIONS
from trainables.config import TrainingConfig
from trainables.datasets import DATASETS, Cifar10, Digits, PtbXl
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.methods import METHODS, Challenger, RelDrop
from trainables.models import Vgg11
from trainables.optimizers import Sgd

SEARCHED = {
    "base": (),
    "base_finetune": (),
    "challenger": ("top_k", "n_features", "alpha", "beta", "split"),
    "random": ("n_features", "alpha", "beta", "split"),
    "fgsm": ("budget", "split"),
    "pgd": ("budget", "steps", "step_size", "split"),
    "mixup": ("concentration",),
    "cutmix": ("concentration", "probability"),
    "random_erasing": ("probability", "max_area"),
    "reldrop": ("probability", "mix", "threshold"),
    "saliency_guided": ("masked_fraction", "weight"),
}
IMAGES_ALONE = ("cutmix", "random_erasing")
DIGITS = dataset_limits(Digits())
LIMITS = [
    Limits(dataset="two classes, one feature", n_classes=2, n_features=1),
    Limits(dataset="digits", n_classes=10, n_features=784, spread=3.25),
    Limits(dataset="cifar100", n_classes=100, n_features=3072),
    Limits(dataset="super-diag", n_classes=5, n_features=12_000),
]


@pytest.fixture(params=[name for name, dimensions in SEARCHED.items() if dimensions])
def name(request):
    return request.param


@pytest.fixture(params=LIMITS, ids=lambda limits: limits.dataset)
def limits(request):
    return request.param


def ends(axis) -> tuple:
    return axis.choices if isinstance(axis, CategoricalDimension) else (axis.low, axis.high)


def ranged(name, limits):
    rules = method_rules(METHODS[name], limits)
    return {key: rule for key, rule in rules.items() if rule.default is not None}


def test_what_is_searched_by_default_is_as_published():
    assert {name: searched(method) for name, method in METHODS.items()} == SEARCHED


def test_every_default_axis_lies_within_its_rule(name, limits):
    for dimension, rule in ranged(name, limits).items():
        axis = rule.dimension({})
        for end in ends(axis):
            assert rule.check(end, dimension) == end
            assert end in axis


def test_the_default_space_resolves_and_can_be_said_to_optuna(name, limits):
    space = resolve(method_rules(METHODS[name], limits), {})
    assert tuple(space.dimensions) == SEARCHED[name]
    assert not space.fixed
    trial = optuna.create_study().ask()
    suggest_params(trial, space)
    assert set(trial.params) == set(SEARCHED[name])


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_both_ends_of_every_axis_are_accepted_by_the_method_itself(name, dataset):
    info = DATASETS[dataset]().info
    if info.domain != "image" and name in IMAGES_ALONE:
        with pytest.raises(ConfigError):
            METHODS[name]().check(info)
        return
    for dimension, rule in ranged(name, dataset_limits(DATASETS[dataset]())).items():
        if dimension == "variant" and info.domain != "image":
            continue
        for end in ends(rule.dimension({})):
            decode(METHODS[name], {dimension: end}).check(info)


@pytest.mark.parametrize(
    ("name", "other", "more"),
    [
        (
            "challenger",
            "random",
            {"top_k", "attribution", "attribution_mode", "class_mode", "k_draw"},
        ),
        ("pgd", "fgsm", {"steps", "step_size", "start"}),
    ],
)
def test_what_a_method_shares_with_its_control_is_searched_over_the_same_axes(name, other, more):
    mine, theirs = ranged(name, DIGITS), ranged(other, DIGITS)
    assert {key: mine[key].default for key in theirs} == {
        key: rule.default for key, rule in theirs.items()
    }
    assert set(mine) - set(theirs) == more


def test_every_attribution_may_be_chosen():
    for method in (Challenger, RelDrop):
        rule = method_rules(method, DIGITS)["attribution"]
        assert rule.dimension({}).choices == tuple(sorted(ATTRIBUTIONS))


def test_each_condition_is_between_dimensions_and_on_a_choice_that_there_is(name, limits):
    rules = method_rules(METHODS[name], limits)
    for rule in rules.values():
        if rule.condition is not None:
            opener = rules[rule.condition.dimension].dimension({})
            assert rule.condition.value in opener.choices


def test_each_variant_of_reldrop_opens_its_own_dimensions():
    rules = method_rules(RelDrop, DIGITS)
    both = resolve(rules, {"max_area": {}, "candidates": {}, "variant": {}})
    opened = {
        variant: {name for name in both.dimensions if both.is_active(name, {"variant": variant})}
        for variant in ("pixel", "block")
    }
    assert opened == {
        "pixel": {"variant", "probability", "mix", "threshold"},
        "block": {"variant", "probability", "max_area", "candidates"},
    }
    assert resolve(rules, {}).conditions == {}


def test_the_range_of_amounts_is_in_units_of_the_inputs_own_spread():
    for dataset, high in (
        (Digits(), 6.491),
        (Digits(normalization="unit"), 2.0),
        (Cifar10(), 7.972),
        (PtbXl(), 2.0),
    ):
        axis = method_rules(Challenger, dataset_limits(dataset))["alpha"].dimension({})
        assert axis.high == pytest.approx(high, rel=1e-3)
        assert axis.low == pytest.approx(high / 20, rel=1e-3)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("fgsm", {"budget": -0.1}, "budget: the value must be at least 0, got -0.1."),
        ("fgsm", {"split": 0.0}, "split: the value must be above 0, got 0.0."),
        ("pgd", {"steps": 0}, "steps: the value must be at least 1, got 0."),
        ("pgd", {"steps": 2.0}, "steps: the value must be an integer, got 2.0."),
        ("challenger", {"alpha": "0.5"}, "alpha: the value must be a number, got '0.5'."),
        ("challenger", {"alpha": 1e308}, "alpha: the value must be at most 1e+06, got 1e+308."),
        ("challenger", {"split": {"high": 1}}, "split.high must be below 1, got 1."),
        (
            "challenger",
            {"top_k": {"high": 11}},
            "top_k.high is 11, but digits has 10 classes; lower it to 10 or less.",
        ),
        (
            "challenger",
            {"n_features": 785},
            "n_features: the value is 785, but digits has 784 input features; lower it to 784 or "
            "less.",
        ),
        (
            "challenger",
            {"n_features": {"low": 0}},
            "n_features.low as a count must be at least 1, got 0.",
        ),
        (
            "challenger",
            {"n_features": {"high": 1.5}},
            "n_features.high as a share must lie in (0, 1], got 1.5.",
        ),
        (
            "challenger",
            {"k_draw": ["batch", "smaple"]},
            "k_draw: each choice must be among batch, sample, got 'smaple'.",
        ),
    ],
)
def test_values_out_of_range_are_refused(method, given, message):
    with pytest.raises(SpaceError) as caught:
        resolve(method_rules(METHODS[method], DIGITS), given)
    assert str(caught.value) == message


def test_numbers_and_choices_of_training_and_model_are_known_by_their_paths():
    training = TrainingConfig(optimizer=Sgd())
    rules = arm_rules(METHODS["base"](), training, Vgg11(), DIGITS)
    assert list(rules) == [
        "training.batch_size",
        "training.optimizer",
        "training.optimizer.lr",
        "training.optimizer.weight_decay",
        "training.optimizer.momentum",
        "training.schedule",
        "training.precision",
        "model.width",
        "model.initialization",
        "model.dropout",
    ]
    assert not any(rule.is_searched for rule in rules.values())
    axis = rules["training.optimizer.lr"].dimension({"low": 1e-4, "high": 1e-2, "log": True})
    assert axis == FloatDimension(low=1e-4, high=1e-2, log=True)
    sizes = rules["training.batch_size"].dimension({"low": 4, "high": 64})
    assert sizes == IntDimension(low=4, high=64)


def test_budgets_are_the_same_for_all_trials_of_an_arm():
    for field in ("epochs", "eval_every", "checkpoint_every_s", "start_from"):
        reason = fixed_reason(TrainingConfig(), f"training.{field}")
        assert reason == "all trials of an arm have the same budget"
    assert fixed_reason(TrainingConfig(), "training.batch_size") is None
    assert fixed_reason(TrainingConfig(), "alpha") is None
