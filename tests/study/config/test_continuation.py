"""What a study file may change once its study has begun."""

from __future__ import annotations

import pytest

from study.config.continuation import check_continuation
from study.config.study_spec import parse
from study.records.errors import SpecError
from tests.support.study_files import study, text

DEFAULTS = "defaults: {dataset: digits, model: vgg11, search: {trials: 5}}\n"
BEGUN = "{method: base}, {method: challenger, search: {space: {alpha: {high: 1.0}, beta: 1}}}"
NAMED = "{method: base}, {method: challenger, name: my.arm}"


def refusal(begun: str, now: str, more: str = "", defaults: str = DEFAULTS) -> str:
    with pytest.raises(SpecError) as caught:
        check_continuation(
            study(begun, "", DEFAULTS), parse(text(now, more, defaults), "s.yaml"), "s.yaml"
        )
    return str(caught.value)


@pytest.mark.parametrize(
    ("now", "more"),
    [
        pytest.param(BEGUN, "", id="nothing"),
        pytest.param("# again\n" + BEGUN, "", id="a comment"),
        pytest.param(BEGUN.replace("search: {", "search: {trials: 9, "), "", id="more trials"),
        pytest.param(BEGUN.replace("{high", "{low: 0.3246, high"), "", id="a default written out"),
        pytest.param(
            BEGUN.replace("beta: 1", "top_k: {low: 1, high: 10}, beta: 1.0"),
            "",
            id="a dimension written out",
        ),
        pytest.param(
            BEGUN.replace("challenger,", "challenger, sensitivity: [{over: top_k}],"),
            "",
            id="another sweep",
        ),
        pytest.param(BEGUN.replace("base}", "base, replicas: {final: 12}}"), "", id="replicas"),
        pytest.param(BEGUN, "resources: {cpus: 2, gpus: 0.5, memory_gib: 2}", id="resources"),
        pytest.param(BEGUN + ", {method: random}", "", id="a further arm at the end"),
        pytest.param("{method: random}, " + BEGUN, "", id="a further arm in front"),
        pytest.param(", ".join(reversed(BEGUN.split(", ", 1))), "", id="the order of the arms"),
        pytest.param(BEGUN, "objective: {direction: maximize}", id="the objective written out"),
    ],
)
def test_what_leaves_finished_trials_valid_may_change(now, more):
    begun = study(BEGUN, "", DEFAULTS)
    check_continuation(begun, study(now, more, DEFAULTS), "s.yaml")


def test_fewer_trials_than_were_asked_for_are_refused():
    assert refusal(BEGUN, BEGUN.replace("search: {", "search: {trials: 2, ")) == (
        "s.yaml: study 't' was begun with arms.challenger.search.trials = 5, but the file now "
        "says 2: fewer would leave arms with unequal budgets; give at least as many, or give the "
        "changed study another name."
    )


def test_a_sweep_may_go_away_and_a_note_too():
    defaults = DEFAULTS.replace("search:", "sensitivity: [{over: top_k}], search:")
    arms = "{method: random}, {method: challenger}"
    check_continuation(study(arms, "", defaults), study(arms, "", DEFAULTS), "s.yaml")


@pytest.mark.parametrize(
    ("replaced", "by", "was", "says"),
    [
        ("base}", "base, training: {epochs: 7}}", "base.training.epochs = 100", "7"),
        (
            "base}",
            "base, training: {optimizer: sgd}}",
            "base.training.optimizer.name = 'adam'",
            "",
        ),
        ("base}", "base, dataset: {val_size: 9}}", "base.dataset.val_size = 200", "9"),
        ("base}", "base, model: {width: 0.5}}", "base.model.width = 1.0", "0.5"),
        ("base}", "base, replicas: {search: 4}}", "base.replicas.search = 3", "4"),
        (
            "base}",
            "base, evaluation: {occlusion: [1]}}",
            "base.evaluation.occlusion = []",
            "[1.0]",
        ),
        ("base}", "base, search: {sampler: random}}", "base.search.sampler = 'tpe'", "'random'"),
        (
            "method: challenger",
            "method: {name: challenger, k_draw: sample}",
            "challenger.method.k_draw = 'batch'",
            "'sample'",
        ),
        ("high: 1.0", "high: 2.0", "challenger.search.space.alpha.high = 1.0", "2.0"),
        ("beta: 1", "beta: 2", "challenger.search.space.beta = 1.0", "2.0"),
        ("beta: 1", "beta: {}", "challenger.search.space.beta = 1.0", "{'low': 0.3246, 'high'"),
    ],
)
def test_what_contradicts_finished_trials_is_refused_with_both_values(replaced, by, was, says):
    said = refusal(BEGUN, BEGUN.replace(replaced, by))
    assert said.startswith(
        f"s.yaml: study 't' was begun with arms.{was}, but the file now says {says}"
    )
    assert said.endswith("; restore it, or give the changed study another name.")


def test_another_seed_and_objective_and_a_further_dimension_are_refused():
    assert "was begun with seed = 0, but the file now says 1" in refusal(BEGUN, BEGUN, "seed: 1")
    for metric, was in (("nll", "direction = 'maximize'"), ("auc", "metric = 'val/accuracy'")):
        said = refusal(BEGUN, BEGUN, f"objective: {{metric: val/{metric}}}")
        assert f"was begun with objective.{was}" in said
    said = refusal(BEGUN, BEGUN.replace("beta: 1", "beta: 1, a_fraction: {}"))
    assert "without arms.challenger.search.space.a_fraction, but the file now says {'low'" in said


def test_an_arm_that_is_gone_is_named_with_how_to_keep_its_name():
    assert refusal(BEGUN, "{method: challenger}") == (
        "s.yaml: study 't' was begun with an arm 'base', which the file no longer has; restore it "
        "(with 'name: base', if a further arm has changed how it is called), or give the changed "
        "study another name."
    )


def test_an_arm_on_another_dataset_would_rename_the_others_unless_they_are_named():
    more = ", {method: base, dataset: mnist}"
    assert "was begun with an arm 'base'" in refusal("{method: base}", "{method: base}" + more)
    check_continuation(
        study("{method: base}"), study("{method: base, name: base}" + more), "s.yaml"
    )


def test_names_with_dots_and_names_within_names_are_told_apart():
    begun = study(NAMED, "", DEFAULTS)
    now = NAMED + ", {method: random, name: my}, {method: random, name: my.arm.2}"
    check_continuation(begun, study(now, "", DEFAULTS), "s.yaml")
    assert "arms.my.arm.training.epochs = 100" in refusal(
        NAMED, NAMED.replace("my.arm", "my.arm, training: {epochs: 7}")
    )


def test_a_dimension_that_is_no_longer_searched_is_refused():
    held = "{method: {name: challenger, a_fraction: 0.5}, search: {space: {beta: 1}}}"
    begun = "{method: challenger, search: {space: {beta: 1, a_fraction: {low: 0.25}}}}"
    assert refusal(begun, held) == (
        "s.yaml: study 't' was begun with arms.challenger.search.space.a_fraction = {'low': 0.25, "
        "'high': 1.0, 'log': False}, but the file now has none; restore it, or give the changed "
        "study another name."
    )


def test_fewer_final_replicas_than_there_are_are_refused():
    assert refusal(BEGUN, BEGUN.replace("base}", "base, replicas: {final: 4}}")) == (
        "s.yaml: study 't' was begun with arms.base.replicas.final = 10, but the file now says 4: "
        "fewer would leave arms with unequal budgets; give at least as many, or give the changed "
        "study another name."
    )


DESIGNED = "{method: challenger, search: {trials: %s, design: %s}}"


@pytest.mark.parametrize(
    ("design", "before", "after"),
    [
        ("sobol", 64, 128),
        ("sobol", 64, 65),
        ("saltelli", 56, 112),
        ("{name: saltelli, second_order: true}", 48, 192),
        ("{name: saltelli}", 56, 56),
    ],
)
def test_a_design_may_grow(design, before, after):
    begun, now = (study(DESIGNED % (trials, design)) for trials in (before, after))
    check_continuation(begun, now, "s.yaml")


def test_a_design_named_in_full_is_the_same():
    short, full = (study(DESIGNED % (64, d)) for d in ("sobol", "{name: sobol}"))
    check_continuation(short, full, "s.yaml")
    check_continuation(full, short, "s.yaml")


@pytest.mark.parametrize(
    ("begun", "now", "was", "says"),
    [
        ("null", "sobol", "with arms.challenger.search.design = None", "says {'name': 'sobol'}"),
        ("sobol", "null", "with arms.challenger.search.design = {'name': 'sobol'}", "says None"),
        (
            "sobol",
            "saltelli",
            "with arms.challenger.search.design.name = 'sobol'",
            "says 'saltelli'",
        ),
        (
            "saltelli",
            "{name: saltelli, second_order: true}",
            "with arms.challenger.search.design.second_order = False",
            "says True",
        ),
    ],
)
def test_another_design_is_refused(begun, now, was, says):
    # A power of two times 7 and times 12 at once there is none of: each has its own number.
    trials = {"{name: saltelli, second_order: true}": 96, "saltelli": 56}
    with pytest.raises(SpecError) as caught:
        check_continuation(
            study(DESIGNED % (trials.get(begun, 8), begun)),
            study(DESIGNED % (trials.get(now, 8), now)),
            "s.yaml",
        )
    assert str(caught.value) == (
        f"s.yaml: study 't' was begun {was}, but the file now {says}; restore it, or give the "
        "changed study another name."
    )
