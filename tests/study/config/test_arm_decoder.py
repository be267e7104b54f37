"""Arms of a study file: laid over the defaults, named, and resolved."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from search_spaces import CategoricalDimension, FloatDimension, IntDimension
from study.config.arm import Arm
from study.config.schema import Sensitivity
from study.config.study_spec import StudySpec, parse
from study.records.errors import SpecError
from study.storage.layout import RESERVED_NAMES
from tests.support.study_files import DEFAULTS, refusal, study, text
from trainables.attribution import Saliency
from trainables.config import TrainingConfig
from trainables.datasets import Digits, Mnist
from trainables.methods import METHODS, Challenger
from trainables.models import Vgg11
from trainables.optimizers import Adam, Sgd


def only(spec: StudySpec) -> Arm:
    (arm,) = spec.arms
    return arm


TRAINING_DEFAULTS = (
    "defaults: {dataset: {name: digits, train_per_class: 5}, model: vgg11, training: "
    "{epochs: 7, optimizer: {name: sgd, lr: 0.5, momentum: 0.25}}}\n"
)


@pytest.mark.parametrize(
    ("own", "optimizer"),
    [
        ("{}", Sgd(lr=0.5, momentum=0.25)),
        ("{optimizer: sgd}", Sgd(lr=0.5, momentum=0.25)),
        ("{optimizer: {lr: 1}}", Sgd(lr=1.0, momentum=0.25)),
        ("{optimizer: {name: sgd, lr: 1}}", Sgd(lr=1.0, momentum=0.25)),
        ("{optimizer: adam}", Adam()),
        ("{optimizer: {name: adam, weight_decay: 1}}", Adam(weight_decay=1.0)),
    ],
)
def test_an_arm_changes_single_settings_and_another_alternative_replaces_all(own, optimizer):
    arm = only(study(f"{{method: base, training: {own}}}", "", TRAINING_DEFAULTS))
    assert arm.training == TrainingConfig(epochs=7, optimizer=optimizer)


@pytest.mark.parametrize(
    ("own", "dataset"),
    [
        ("digits", Digits(train_per_class=5)),
        ("{val_size: 9}", Digits(train_per_class=5, val_size=9)),
        (
            "{train_per_class: null, train_size: 40}",
            Digits(train_per_class=None, train_size=40),
        ),
        ("mnist", Mnist()),
        ("{name: mnist, val_size: 9}", Mnist(val_size=9)),
    ],
)
def test_a_name_alone_and_a_mapping_are_laid_over_the_default_alike(own, dataset):
    arm = only(study(f"{{method: base, dataset: {own}}}", "", TRAINING_DEFAULTS))
    assert arm.dataset == dataset


def test_a_name_alone_in_the_defaults_can_be_refined():
    arm = only(study("{method: base, model: {width: 0.5}}"))
    assert arm.model == Vgg11(width=0.5)


def test_a_bound_of_the_shared_space_can_be_overridden_alone():
    defaults = (
        "defaults: {dataset: digits, model: vgg11, search: {trials: 8, space: "
        "{alpha: {low: 0.2, high: 0.4, log: true}, top_k: {low: 2}, beta: {high: 3}}}}\n"
    )
    arm = only(
        study(
            "{method: challenger, search: {space: {alpha: {high: 0.8}, top_k: 3, beta: [1, 2]}}}",
            "",
            defaults,
        )
    )
    assert arm.search.trials == 8
    assert arm.space.dimensions["alpha"] == FloatDimension(low=0.2, high=0.8, log=True)
    assert arm.space.dimensions["beta"] == CategoricalDimension(choices=(1.0, 2.0))
    assert arm.space.fixed == {"top_k": 3}


def test_sweeps_of_an_arm_replace_those_of_the_defaults():
    defaults = "defaults: {dataset: digits, model: vgg11, sensitivity: [{over: alpha}]}\n"
    spec = study(
        "{method: random}, {method: challenger, sensitivity: [{over: top_k}]}", "", defaults
    )
    assert [[s.over for s in arm.sensitivity] for arm in spec.arms] == [["alpha"], ["top_k"]]


def test_arms_are_named_by_what_tells_them_apart():
    spec = study(
        "{method: base}, {method: random}, {method: base, model: vgg16}, "
        "{method: base, dataset: mnist, name: other}"
    )
    assert [arm.name for arm in spec.arms] == [
        "digits-vgg11-base",
        "digits-vgg11-random",
        "digits-vgg16-base",
        "other",
    ]
    assert spec.arm("other").dataset == Mnist()


def test_one_arm_is_named_by_its_method():
    assert only(study("{method: challenger}")).name == "challenger"


def test_an_unknown_arm_is_refused_with_the_closest_name():
    with pytest.raises(SpecError) as caught:
        study("{method: base}").arm("bsae")
    assert str(caught.value) == "study 't' has no arm 'bsae'; did you mean 'base'?"


@pytest.mark.parametrize("name", ["a", "0", "a" * 64, "x.y_z-1", "2026-11-21"])
def test_names_that_are_fit_for_a_folder_are_accepted(name):
    assert parse(f"name: '{name}'\n{DEFAULTS}arms: [{{method: base}}]", "s.yaml").name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/x", "X", "a b", "-a", ".a", "a\n", "ä", "a" * 65, "~x"],
)
def test_names_that_are_unfit_are_refused_for_the_study_and_for_an_arm(name):
    rule = (
        "must be 1 to 64 lower-case letters, digits, '.', '_' or '-', and begin with a letter "
        f"or digit, got {name!r}."
    )
    quoted = yaml.safe_dump(name, default_style='"').strip()
    study_file = f"name: {quoted}\n{DEFAULTS}arms: [{{method: base}}]"
    assert refusal(study_file) == f"name {rule}"
    assert refusal(text(f"{{method: base, name: {quoted}}}")) == f"arms[0].name {rule}"


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_study_is_not_called_like_what_the_storage_folder_keeps(name):
    assert refusal(f"name: {name}\n{DEFAULTS}arms: [{{method: base}}]") == (
        f"name must not be {name!r}, which stands for something else in the storage folder; "
        "choose another."
    )


SPACE_DEFAULTS = (
    "defaults: {dataset: digits, model: vgg11, sensitivity: [{over: top_k}, {over: alpha}], "
    "search: {space: {top_k: {low: 2}, alpha: {low: 0.2}}}}\n"
)


def test_what_an_arm_lacks_is_noted_once_and_nothing_of_a_method_without_dimensions():
    spec = study("{method: base}, {method: random}, {method: challenger}", "", SPACE_DEFAULTS)
    assert spec.notes == ("arm random: method random has no top_k; skipped.",)
    assert [list(arm.sweeps()) for arm in spec.arms] == [[], ["alpha"], ["top_k", "alpha"]]


def test_what_the_method_itself_sets_is_noted_and_neither_searched_nor_swept():
    spec = study("{method: {name: challenger, top_k: 3, alpha: 0.5}}", "", SPACE_DEFAULTS)
    assert spec.notes == ("arm challenger: 'method' sets top_k and alpha; not searched.",)
    arm = only(spec)
    assert list(arm.space.dimensions) == ["n_features", "beta", "split"]
    assert arm.sensitivity == ()
    assert arm.trial_config({}, (0,), is_final=False).method == Challenger(top_k=3, alpha=0.5)


def test_batches_in_which_nobody_is_challenged_are_noted():
    defaults = "defaults: {dataset: digits, model: vgg11, training: {batch_size: 3}}\n"
    method = "{name: random, split: 0.5}"
    spec = study(f"{{method: base}}, {{method: {method}}}, {{method: pgd}}", "", defaults)
    assert spec.notes == (
        "arm random: method random: a split of 0.5 changes no sample of 3; it takes a batch of 4 "
        "or more, or a larger split.",
        "arm pgd: method pgd: a split of 0.1 changes no sample of 3; it takes a batch of 10 or "
        "more, or a larger split.",
    )


def test_a_default_sweep_over_what_is_not_searched_is_noted():
    defaults = "defaults: {dataset: digits, model: vgg11, sensitivity: [{over: a_fraction}]}\n"
    spec = study("{method: random}", "", defaults)
    assert spec.notes == ("arm random: a_fraction is not searched; no sweep.",)
    assert only(spec).sensitivity == ()


def test_integers_become_real_numbers_where_those_are_searched():
    arm = only(study("{method: challenger, sensitivity: [{over: alpha, values: [1, 2.5]}]}"))
    assert arm.sensitivity == (Sensitivity(over="alpha", values=(1.0, 2.5)),)
    assert [type(value) for value in arm.sweeps()["alpha"]] == [float, float]


def test_a_sweep_over_choices_is_of_their_kind():
    arm = only(
        study(
            "{method: challenger, search: {space: {n_features: [10, 20]}}, "
            "sensitivity: [{over: n_features, values: [5, 40]}]}"
        )
    )
    assert arm.sweeps() == {"n_features": (5, 40)}


@pytest.fixture
def three_classes(monkeypatch):
    """Let digits have fewer classes than the method's default rank."""
    info = replace(Digits().info, n_classes=3)
    monkeypatch.setattr(Digits, "info", property(lambda _: info))


@pytest.mark.usefixtures("three_classes")
def test_the_default_rank_of_a_method_does_not_matter_where_the_rank_is_searched():
    arm = only(study("{method: challenger}"))
    assert Challenger().top_k > 3
    assert arm.space.dimensions["top_k"] == IntDimension(low=1, high=3)


@pytest.mark.usefixtures("three_classes")
def test_a_rank_above_the_classes_is_refused_wherever_it_stands():
    own = "{method: challenger, search: {space: {top_k: {high: 4}}}}"
    assert refusal(text(own)) == (
        "arms[0].search.space.top_k.high is 4, but digits has 3 classes; lower it to 3 or less."
    )
    assert refusal(text("{method: {name: challenger, top_k: 4}}")) == (
        "arms[0].method.top_k must not exceed the 3 classes, got 4."
    )


def arm(content: str) -> str:
    return text(f"{{method: challenger, {content}}}")


def space(content: str) -> str:
    return arm(f"search: {{space: {{{content}}}}}")


def defaults(content: str, arms: str = "{method: base}, {method: challenger}") -> str:
    return text(arms, "", f"defaults: {{dataset: digits, model: vgg11, {content}}}\n")


def more(content: str) -> str:
    return text("{method: base}", content)


TOP = "known: arms, defaults, name, objective, plugins, resources, seed."
# How the file is written, what is wrong in it, and how the message begins.
REFUSALS = """
defaults | trainng: {} | defaults.trainng is not a setting; did you mean 'training'?
defaults | method: base | defaults.method is not a setting; known: dataset, evaluation, model,
defaults | training: {epoch: 3} | defaults.training.epoch is not a setting; did you mean 'epochs'?
arm | modle: vgg11 | arms[0].modle is not a setting; did you mean 'model'?
arm | dataset: {train_perclass: 3} | arms[0].dataset.train_perclass is not a setting; did you mean
arm | model: {widht: 1} | arms[0].model.widht is not a setting; did you mean 'width'?
text | {method: {name: random, top_k: 3}} | arms[0].method.top_k is not a setting; known:
arm | training: {lr: 1} | arms[0].training.lr is not a setting; known: batch_size,
arm | training: {optimizer: {name: adam, momentum: 1}} | arms[0].training.optimizer.momentum is
arm | replicas: {finals: 3} | arms[0].replicas.finals is not a setting; did you mean 'final'?
arm | search: {trails: 3} | arms[0].search.trails is not a setting; did you mean 'trials'?
space | alpha: {hgih: 3} | arms[0].search.space.alpha.hgih is not a setting; did you mean 'high'?
space | tpo_k: 3 | arms[0].search.space.tpo_k is not a dimension of method challenger; did you
arm | sensitivity: [{over: top_k, vaules: [1, 2]}] | arms[0].sensitivity[0].vaules is not a
more | objective: {metrics: val/auc} | objective.metrics is not a setting; did you mean 'metric'?
more | resources: {gpu: 1} | resources.gpu is not a setting; did you mean 'gpus'?
text | {method: chalenger} | arms[0].method is 'chalenger', which is not known; did you mean
text | {method: {name: chalenger}} | arms[0].method.name is 'chalenger', which is not known; did
arm | dataset: digit | arms[0].dataset is 'digit', which is not known; did you mean 'digits'?
arm | model: vg11 | arms[0].model is 'vg11', which is not known; did you mean 'vgg11'?
arm | search: {sampler: tpee} | arms[0].search.sampler is 'tpee', which is not known; did you mean
arm | search: {scheduler: hyperband} | arms[0].search.scheduler is 'hyperband', which is not
defaults | training: {optimizer: adm} | defaults.training.optimizer is 'adm', which is not known;
text | {method: base}, base | arms[1] must be a mapping of settings, got 'base'.
text | {method: 3} | arms[0].method must be a mapping of settings, got 3.
more | seed: 1.5 | seed must be an integer, got 1.5.
more | seed: yes | seed must be an integer, got True.
arm | search: | arms[0].search must be a mapping of settings, got None.
arm | search: {space: [top_k]} | arms[0].search.space must be a mapping, got ['top_k'].
defaults | search: 3 | defaults.search must be a mapping of settings, got 3.
arm | sensitivity: {over: top_k} | arms[0].sensitivity must be a list, got {'over': 'top_k'}.
arm | sensitivity: [{values: [1, 2]}] | arms[0].sensitivity[0].over is missing; give it a value.
defaults | search: {trials: 0} | defaults.search.trials must be at least 1, got 0.
arm | search: {startup_trials: 0} | arms[0].search.startup_trials must be at least 1, got 0.
arm | replicas: {search: 0} | arms[0].replicas.search must be at least 1, got 0.
arm | replicas: {final: 1} | arms[0].replicas.final must be at least 2, got 1.
arm | training: {epochs: 0} | arms[0].training.epochs must be at least 1, got 0.
arm | dataset: {train_per_class: 3, train_size: 30} | arms[0].dataset.train_size must be left out
space | top_k: {high: 11} | arms[0].search.space.top_k.high is 11, but digits has 10 classes;
defaults | search: {space: {top_k: {high: 11}}} | defaults.search.space.top_k.high is 11, but
defaults | search: {space: {top_k: 11}} | defaults.search.space.top_k: the value is 11, but digits
defaults | search: {space: {alpha: {high: 0.05}}} | defaults.search.space.alpha.low must not
space | n_features: {low: 1, high: 785} | arms[0].search.space.n_features.high is 785, but digits
space | n_features: {high: 1.5} | arms[0].search.space.n_features.high as a share must lie in (0,
space | alpha: {low: 2, high: 1} | arms[0].search.space.alpha.low must not exceed high, got low
space | split: {low: 0} | arms[0].search.space.split.low must be above 0, got 0.
space | split: {high: 1.0} | arms[0].search.space.split.high must be below 1, got 1.0.
space | split: 1.0 | arms[0].search.space.split: the value must be below 1, got 1.0.
defaults | search: {space: {tpo_k: {low: 1}}} | defaults.search.space.tpo_k is not a dimension;
text | {method: random, search: {space: {top_k: {low: 1}}}} | arms[0].search.space.top_k is not a
text | {method: base, search: {space: {top_k: {low: 1}}}} | arms[0].search.space.top_k is not a
text | {method: {name: challenger, top_k: 11}} | arms[0].method.top_k must not exceed the 10
text | {method: {name: random, n_features: 785}} | arms[0].method.n_features must not exceed the
arm | sensitivity: [{over: top_k}, {over: tpo_k}] | arms[0].sensitivity[1].over must be a
arm | sensitivity: [{over: a_fraction}] | arms[0].sensitivity[0].over must be a dimension that the
arm | search: {space: {top_k: 3}}, sensitivity: [{over: top_k}] | arms[0].sensitivity[0].over must
text | {method: base, sensitivity: [{over: top_k}]} | arms[0].sensitivity[0].over must be a
arm | sensitivity: [{over: top_k, values: [1, 11]}] | arms[0].sensitivity[0].values: top_k is 11,
arm | sensitivity: [{over: top_k, values: [1, 2.5]}] | arms[0].sensitivity[0].values: top_k must
arm | sensitivity: [{over: n_features, values: [10, 20]}] | arms[0].sensitivity[0].values:
arm | sensitivity: [{over: top_k, values: [3]}] | arms[0].sensitivity[0].values must be two or
arm | sensitivity: [{over: top_k, values: [3, 3]}] | arms[0].sensitivity[0].values must be two or
defaults | sensitivity: [{over: tpo_k}] | defaults.sensitivity[0].over must be a dimension, got
defaults | sensitivity: [{over: top_k, values: [1, 11]}] | defaults.sensitivity[0].values: top_k
text | {method: base}, {method: random}, {method: base} | arms[2] would be called 'base' like
text | {method: base, name: x}, {method: random, name: x} | arms[1] would be called 'x' like
more | objective: {metric: val/acuracy} | objective.metric is 'val/acuracy', which is not known;
more | objective: {metric: test/accuracy} | objective.metric is 'test/accuracy', which is not
more | objective: {metric: val/nll, direction: maximize} | objective.direction is 'maximize', but
more | objective: {direction: minimize} | objective.direction is 'minimize', but val/accuracy is
more | objective: {direction: maximise} | objective.direction is 'maximise', which is not known;
more | resources: {gpus: 0.3} | resources.gpus must be 0, 1 or a fraction 1/n such as 0.5, 0.333
more | resources: {cpus: 0} | resources.cpus must be at least 1, got 0.
more | resources: {memory_gib: 0} | resources.memory_gib must be above 0, got 0.
more | resources: {custom: {rtx4090: many}} | resources.custom.rtx4090 must be a number, got
more | resources: {custom: {CPU: 1}} | resources.custom.CPU must be a resource of your own, but
more | resources: {priority: high} | resources.priority must be an integer, got 'high'.
more | resources: {max_concurrent: 0} | resources.max_concurrent must be at least 1, got 0.
"""
BUILDERS = {"text": text, "arm": arm, "space": space, "defaults": defaults, "more": more}
FURTHER = [
    ("armz: []\n" + text("{method: base}"), "armz is not a setting; did you mean 'arms'?"),
    ("zzz: 1\n" + text("{method: base}"), f"zzz is not a setting; {TOP}"),
    ("1: 1\n" + text("{method: base}"), f"1 is not a setting; {TOP}"),
    (
        text("{method: {top_k: 3}}"),
        f"arms[0].method needs a 'name'; known: {', '.join(sorted(METHODS))}.",
    ),
    (DEFAULTS + "arms: [{method: base}]", "name is missing; give it a value."),
    ("name: t", "arms is missing; give it a value."),
    ("name: t\narms: []", "arms must have more entries, 1 at least, got []."),
    ("name: t\narms: {a: 1}", "arms must be a list, got {'a': 1}."),
    ("name: t\narms: [{method: base}]", "arms[0].dataset is missing; give it a value."),
    (
        "name: t\narms: [{method: base, dataset: digits}]",
        "arms[0].model is missing; give it a value.",
    ),
    (text("{model: vgg11}"), f"arms[0].method is missing; known: {', '.join(sorted(METHODS))}."),
    ("name: 3\narms: []", "name must be a text, got 3; write it in quotes."),
    ("name: t\ndefaults: [a]\narms: [{method: base}]", "defaults must be a mapping, got ['a']."),
    (
        defaults(
            "search: {space: {top_k: {high: 11}}}",
            "{method: challenger, search: {space: {top_k: {low: 2}}}}",
        ),
        "defaults.search.space.top_k.high is 11, but digits has 10 classes; lower it to 10 or",
    ),
    (
        defaults(
            "search: {space: {top_k: {high: 5}}}",
            "{method: base}, {method: challenger, search: {space: {top_k: {high: 12}}}}",
        ),
        "arms[1].search.space.top_k.high is 12, but digits has 10 classes; lower it to 10 or",
    ),
    (
        text("{method: {name: challenger, top_k: 3}, search: {space: {top_k: {low: 1}}}}"),
        "arms[0].search.space.top_k is given, and 'method' sets it too; remove one of them.",
    ),
]


@pytest.mark.parametrize("line", REFUSALS.strip().splitlines())
def test_what_is_wrong_is_said_with_its_path_in_the_file(line):
    builder, content, message = line.split(" | ")
    assert refusal(BUILDERS[builder](content)).startswith(message)


@pytest.mark.parametrize(("content", "message"), FURTHER, ids=range(len(FURTHER)))
def test_what_is_missing_or_of_another_kind_is_said_with_its_path(content, message):
    assert refusal(content).startswith(message)


ATTRIBUTIONS_SEARCHED = (
    "{method: challenger, search: {space: {attribution: [epsilon_lrp, saliency]}}, "
    "sensitivity: [{over: attribution%s}]}"
)


def test_the_attribution_is_a_dimension_of_choices():
    arm = only(study(ATTRIBUTIONS_SEARCHED % ""))
    assert arm.sweeps() == {"attribution": ("epsilon_lrp", "saliency")}
    point = {**arm.example_point(), "attribution": "saliency"}
    assert arm.trial_config(point, (0,), is_final=False).method.attribution == Saliency()
    assert [p["attribution"] for p in arm.choice_points()] == ["epsilon_lrp", "saliency"]


def test_a_text_that_is_not_searched_cannot_be_swept():
    assert refusal(text(ATTRIBUTIONS_SEARCHED % ", values: [saliency, deep_lift]")) == (
        "arms[0].sensitivity[0].values: attribution must be swept over choices that are searched, "
        "got ['saliency', 'deep_lift']."
    )


def test_an_attribution_that_there_is_not_is_refused_with_those_that_there_are():
    arms = "{method: challenger, search: {space: {attribution: [epsilon_lrp, gradcam]}}}"
    assert refusal(text(arms)).startswith(
        "arms[0].search.space.attribution: each choice must be among attn_lrp, captum_lrp,"
    )
