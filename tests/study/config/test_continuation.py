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
        (BEGUN, ""),
        ("# again\n" + BEGUN, ""),
        (BEGUN.replace("search: {", "search: {trials: 9, "), ""),
        (BEGUN.replace("{high: 1.0}", "{low: 0.3246, high: 1}"), ""),
        (BEGUN.replace("beta: 1", "top_k: {low: 1, high: 10}, beta: 1.0"), ""),
        (BEGUN.replace("challenger,", "challenger, sensitivity: [{over: top_k}],"), ""),
        (BEGUN.replace("base}", "base, replicas: {final: 12}}"), ""),
        (BEGUN, "resources: {cpus: 2, gpus: 0.5, max_concurrent: 3}"),
        (BEGUN, "resources: {memory_gib: 2, custom: {rtx4090: 1}, priority: 5}"),
        (BEGUN + ", {method: random}", ""),
        ("{method: random}, " + BEGUN, ""),
        (
            "{method: challenger, search: {space: {alpha: {high: 1.0}, beta: 1}}}, {method: base}",
            "",
        ),
        (BEGUN, "objective: {metric: val/accuracy, direction: maximize}"),
    ],
    ids=[
        "nothing",
        "a comment",
        "more trials",
        "a default written out",
        "a dimension written out",
        "another sweep",
        "more final replicas",
        "resources",
        "memory, custom resources and priority",
        "a further arm at the end",
        "a further arm in front",
        "the order of the arms",
        "the objective written out",
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
    ("now", "more", "was", "says"),
    [
        (BEGUN, "seed: 1", "with seed = 0", "says 1"),
        (
            BEGUN,
            "objective: {metric: val/nll}",
            "with objective.direction = 'maximize'",
            "says 'minimize'",
        ),
        (
            BEGUN,
            "objective: {metric: val/auc}",
            "with objective.metric = 'val/accuracy'",
            "says 'val/auc'",
        ),
        (
            BEGUN.replace("base}", "base, training: {epochs: 7}}"),
            "",
            "with arms.base.training.epochs = 100",
            "says 7",
        ),
        (
            BEGUN.replace("base}", "base, training: {optimizer: sgd}}"),
            "",
            "with arms.base.training.optimizer.name = 'adam'",
            "says 'sgd'",
        ),
        (
            BEGUN.replace("base}", "base, dataset: {val_size: 9}}"),
            "",
            "with arms.base.dataset.val_size = 200",
            "says 9",
        ),
        (
            BEGUN.replace("base}", "base, model: {width: 0.5}}"),
            "",
            "with arms.base.model.width = 1.0",
            "says 0.5",
        ),
        (
            BEGUN.replace("base}", "base, replicas: {search: 4}}"),
            "",
            "with arms.base.replicas.search = 3",
            "says 4",
        ),
        (
            BEGUN.replace("base}", "base, evaluation: {occlusion: [0.25, 1]}}"),
            "",
            "with arms.base.evaluation.occlusion = []",
            "says [0.25, 1.0]",
        ),
        (
            BEGUN.replace("base}", "base, search: {sampler: random}}"),
            "",
            "with arms.base.search.sampler = 'tpe'",
            "says 'random'",
        ),
        (
            BEGUN.replace("method: challenger", "method: {name: challenger, k_draw: sample}"),
            "",
            "with arms.challenger.method.k_draw = 'batch'",
            "says 'sample'",
        ),
        (
            BEGUN.replace("high: 1.0", "high: 2.0"),
            "",
            "with arms.challenger.search.space.alpha.high = 1.0",
            "says 2.0",
        ),
        (
            BEGUN.replace("beta: 1", "beta: 2"),
            "",
            "with arms.challenger.search.space.beta = 1.0",
            "says 2.0",
        ),
        (
            BEGUN.replace("beta: 1", "beta: {}"),
            "",
            "with arms.challenger.search.space.beta = 1.0",
            "says {'low': 0.3246, 'high': 6.491, 'log': False}",
        ),
        (
            BEGUN.replace("beta: 1", "beta: 1, a_fraction: {}"),
            "",
            "without arms.challenger.search.space.a_fraction",
            "says {'low': 0.0, 'high': 1.0, 'log': False}",
        ),
    ],
)
def test_what_contradicts_finished_trials_is_refused_with_both_values(now, more, was, says):
    assert refusal(BEGUN, now, more) == (
        f"s.yaml: study 't' was begun {was}, but the file now {says}; restore it, or give the "
        "changed study another name."
    )


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
