"""Budgets, configurations and sweeps of a resolved arm."""

from __future__ import annotations

import pytest

from search_spaces import CategoricalDimension, FloatDimension, SpaceError
from study.config.arm import Arm, replica_seeds
from study.config.schema import Sensitivity
from tests.support.study_files import refusal, study, text
from trainables.config import EvaluationConfig, TrainingConfig
from trainables.datasets import Digits
from trainables.methods import Challenger
from trainables.models import Vgg11
from trainables.optimizers import Adam


def arm(more: str = "", method: str = "challenger") -> Arm:
    (found,) = study(f"{{method: {method}{more}}}").arms
    return found


def space(content: str, sweeps: str = "") -> Arm:
    return arm(f", search: {{space: {{{content}}}}}, sensitivity: [{sweeps}]")


def test_a_method_without_dimensions_searches_nothing_and_is_trained_once_in_the_end():
    base = arm(method="base")
    assert (base.search_budget, base.final_budget) == (0, 1)
    assert base.final_points({}) == ({},)


def test_a_searched_arm_has_the_budget_that_is_asked_for():
    assert arm(", search: {trials: 7}").search_budget == 7
    held = arm(", search: {trials: 7, space: {alpha: 1, beta: 1, split: 0.5, n_features: 3}}")
    assert held.search_budget == 7
    nothing_left = arm(
        ", search: {space: {alpha: 1, beta: 1, split: 0.5, n_features: 3, top_k: 1}}"
    )
    assert nothing_left.search_budget == 0


@pytest.mark.parametrize(
    ("content", "over", "values"),
    [
        ("top_k: {low: 2, high: 3}", "top_k", tuple(range(1, 11))),
        ("alpha: {low: 0, high: 3}", "alpha", (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)),
        (
            "alpha: {low: 0.001, high: 1000, log: true}",
            "alpha",
            (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        ),
        ("n_features: {low: 1, high: 784}", "n_features", (1, 132, 262, 392, 523, 654, 784)),
        ("n_features: {low: 1, high: 64, log: true}", "n_features", (1, 2, 4, 8, 16, 32, 64)),
        ("n_features: {low: 4, high: 6}", "n_features", (4, 5, 6)),
        ("n_features: {low: 4, high: 4}", "n_features", (4,)),
        ("beta: [0.5, 2]", "beta", (0.5, 2.0)),
    ],
)
def test_a_sweep_without_values_takes_every_rank_the_choices_or_seven_points(
    content, over, values
):
    found = space(content, f"{{over: {over}}}").sweeps()[over]
    assert found == pytest.approx(values)
    assert [type(value) for value in found] == [type(value) for value in values]


def test_several_sweeps_over_one_dimension_are_one_curve_without_repeated_values():
    twice = space("", "{over: top_k, values: [5, 1]}, {over: top_k, values: [1, 2]}")
    assert twice.sweeps() == {"top_k": (5, 1, 2)}
    assert twice.final_budget == 3


def test_final_points_are_the_chosen_one_and_then_the_sweeps_each_once():
    swept = space("", "{over: top_k, values: [1, 2]}, {over: alpha, values: [0.5, 1]}")
    best = {"top_k": 2, "alpha": 0.5}
    assert swept.final_points(best) == (
        {"top_k": 2, "alpha": 0.5},
        {"top_k": 1, "alpha": 0.5},
        {"top_k": 2, "alpha": 1.0},
    )
    assert swept.final_budget == 4


def test_a_trial_is_configured_by_its_params_over_what_the_space_holds():
    held = space("beta: 2, a_fraction: 0.25")
    config = held.trial_config({"top_k": 3, "alpha": 0.25}, (4, 5), is_final=True)
    assert config.method == Challenger(top_k=3, alpha=0.25, beta=2.0, a_fraction=0.25)
    assert (config.seeds, config.is_final, config.dataset) == ((4, 5), True, Digits())


def test_what_final_trials_measure_is_given_to_every_trial_of_the_arm():
    one = arm(", evaluation: {occlusion: [0.25, 1], bootstrap_resamples: 100}", method="base")
    expected = EvaluationConfig(occlusion=(0.25, 1.0), bootstrap_resamples=100)
    assert one.trial_config({}, (0,), is_final=True).evaluation == expected
    assert arm(method="base").trial_config({}, (0,), is_final=True).evaluation == (
        EvaluationConfig(occlusion=(), bootstrap_resamples=0)
    )


def test_some_point_lies_in_the_space_and_makes_a_trial():
    found = space("alpha: [0.5, 1], beta: 2")
    point = found.example_point()
    assert point == {"top_k": 1, "n_features": 0.01, "alpha": 0.5, "split": 0.1}
    assert all(value in found.space.dimensions[name] for name, value in point.items())
    found.trial_config(point, (0,), is_final=False)


def test_a_sweep_is_checked_against_the_rule_and_the_kind_of_what_is_searched():
    one = arm()
    sweep = Sensitivity(over="alpha", values=(1, 2.5))
    assert one.checked(sweep) == Sensitivity(over="alpha", values=(1.0, 2.5))
    assert one.checked(Sensitivity(over="alpha")) == Sensitivity(over="alpha")
    with pytest.raises(SpaceError) as caught:
        one.checked(Sensitivity(over="n_features", values=(1, 2)))
    assert str(caught.value) == (
        "n_features must be swept over real numbers, as it is searched, got [1, 2]."
    )


def test_search_and_final_replicas_share_no_seed_and_more_replicas_keep_the_first():
    search, final = replica_seeds(0, "search", 50), replica_seeds(0, "final", 50)
    assert len({*search, *final, *replica_seeds(1, "search", 50)}) == 150
    assert replica_seeds(0, "search", 3) == search[:3]


PATHS = (
    "training.optimizer.lr: {low: 1e-4, high: 1e-2, log: true}, training.batch_size: [4, 8], "
    "model.initialization: [kaiming, torch], model.width: 0.5"
)


@pytest.mark.parametrize("method", ["base", "challenger"])
def test_numbers_and_choices_of_training_and_model_are_searched_by_their_paths(method):
    found = arm(f", search: {{trials: 5, space: {{{PATHS}}}}}", method)
    assert found.search_budget == 5
    assert found.space.fixed == {"model.width": 0.5}
    own = {name: axis for name, axis in found.space.dimensions.items() if "." in name}
    assert own == {
        "training.batch_size": CategoricalDimension(choices=(4, 8)),
        "training.optimizer.lr": FloatDimension(low=1e-4, high=1e-2, log=True),
        "model.initialization": CategoricalDimension(choices=("kaiming", "torch")),
    }
    point = {**found.example_point(), "training.optimizer.lr": 0.002, "training.batch_size": 8}
    config = found.trial_config(point, (0,), is_final=False)
    assert config.training == TrainingConfig(batch_size=8, optimizer=Adam(lr=0.002))
    assert config.model == Vgg11(width=0.5, initialization="kaiming")
    assert type(config.method) is type(found.method)


def test_paths_of_the_defaults_are_searched_by_every_arm_that_has_them():
    space = "search: {space: {training.optimizer.momentum: {low: 0, high: 0.9}}}"
    base, sgd = study(
        "{method: base}, {name: sgd, method: base, training: {optimizer: sgd}}",
        "",
        f"defaults: {{dataset: digits, model: vgg11, {space}}}\n",
    ).arms
    assert (list(base.space.dimensions), list(sgd.space.dimensions)) == (
        [],
        ["training.optimizer.momentum"],
    )


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "search: {space: {training.epochs: [1, 2]}}",
            "arms[0].search.space.training.epochs cannot be searched: all trials of an arm have "
            "the same budget; set it under 'training'.",
        ),
        (
            "search: {space: {training.optimizer.rl: [1, 2]}}",
            "arms[0].search.space.training.optimizer.rl is no number or choice of this arm; did "
            "you mean 'training.optimizer.lr'?",
        ),
        (
            "search: {space: {training.optimizer.lr: {low: 0.1}}}",
            "arms[0].search.space.training.optimizer.lr.high is missing; this parameter has no "
            "range of its own.",
        ),
        (
            "search: {space: {training.optimizer.lr: [0, 0.1]}}",
            "arms[0].search.space.training.optimizer.lr: each choice must be above 0, got 0.",
        ),
        (
            "training: {batch_size: 8}, search: {space: {training.batch_size: [4, 8]}}",
            "arms[0].search.space.training.batch_size is given, and 'training' sets it too; "
            "remove one of them.",
        ),
    ],
)
def test_a_path_that_cannot_be_searched_is_refused(own, message):
    assert refusal(text(f"{{method: base, {own}}}")) == message


def test_a_path_of_the_defaults_that_no_arm_has_is_refused():
    space = "search: {space: {training.optimiser.lr: [0.1, 0.2]}}"
    said = refusal(
        text("{method: base}", "", f"defaults: {{dataset: digits, model: vgg11, {space}}}\n")
    )
    assert said == (
        "defaults.search.space.training.optimiser.lr is no number or choice of any arm; did you "
        "mean 'training.optimizer.lr'?"
    )
