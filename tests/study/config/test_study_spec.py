"""Study files from their text to resolved arms."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import FloatDimension, IntDimension
from study.config.arm import Arm
from study.config.schema import Replicas, Resources, SearchConfig, Sensitivity
from study.config.study_spec import StudySpec, load, parse
from study.records.errors import SpecError
from tests.support.study_files import DEFAULTS, study, text
from trainables.config import TrainingConfig
from trainables.datasets import Digits, Mnist
from trainables.decoding import encode
from trainables.methods import Base, Challenger, Random
from trainables.models import Vgg11
from trainables.optimizers import Adam

AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=0.3),
    # A tenth of a gray step to two, of standardized digits.
    "alpha": FloatDimension(low=0.3246, high=6.491),
    "beta": FloatDimension(low=0.3246, high=6.491),
    "split": FloatDimension(low=0.1, high=0.9),
}
AMOUNT = FloatDimension(low=0.1, high=2.0)
WRITTEN = {**AXES, "alpha": AMOUNT, "beta": AMOUNT}

# The study file of DESIGN.md, which is a promise.
DESIGN = """
name: tiny-mnist-top-k
defaults:
  dataset: {name: mnist, train_per_class: 3}
  model: {name: vgg11, width: 1.0, initialization: kaiming}
  training: {epochs: 100, batch_size: 30, optimizer: {name: adam, lr: 1.0e-3}, start_from: scratch,
             eval_every: 10, checkpoint_every_s: 60}
  replicas: {search: 3, final: 10}
  search: {sampler: tpe, trials: 60, scheduler: asha,
           space: {top_k: {low: 1, high: 10}, n_features: {low: 0.01, high: 0.3},
                   alpha: {low: 0.1, high: 2.0}, beta: {low: 0.1, high: 2.0}, split: {low: 0.1, high: 0.9}}}
arms:
  - {method: base}
  - {method: random}
  - {method: challenger, sensitivity: [{over: top_k, values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}]}
objective: {metric: val/accuracy, direction: maximize}
resources: {cpus: 1, gpus: 0}
"""  # noqa: E501 (as it stands there)


def preset(name: str) -> StudySpec:
    return parse((files("study.presets") / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")


def only(spec: StudySpec) -> Arm:
    (arm,) = spec.arms
    return arm


def test_the_demo_is_three_arms_with_the_promised_budgets_and_sweep():
    spec = preset("demo")
    base, random, challenger = spec.arms
    assert [arm.name for arm in spec.arms] == ["base", "random-like-challenger", "challenger"]
    assert (spec.name, spec.metric, spec.direction) == ("demo", "val/accuracy", "maximize")
    assert spec.notes == ()
    for arm in spec.arms:
        assert arm.dataset == replace(base.dataset, train_per_class=3)
        assert isinstance(arm.dataset, Digits)
        assert (arm.model, arm.training, arm.replicas) == (
            base.model,
            base.training,
            base.replicas,
        )
    assert dict(base.space.dimensions) == {}
    assert dict(random.space.dimensions) == {k: v for k, v in WRITTEN.items() if k != "top_k"}
    assert dict(challenger.space.dimensions) == WRITTEN
    assert base.search_budget == 0
    assert random.like == "challenger"
    assert random.search_budget == 0
    assert challenger.search_budget == challenger.search.trials > 1
    assert challenger.search.reproducible
    assert [arm.final_budget for arm in spec.arms] == [1, 1, 6]
    assert challenger.sweeps() == {"top_k": (1, 2, 3, 5, 7, 10)}


def test_the_example_of_the_design_is_read_as_it_is_meant():
    spec = parse(DESIGN, "design.yaml")
    base, random, challenger = spec.arms
    assert base.method == Base()
    assert random.method == Random()
    assert challenger.method == Challenger()
    assert challenger.dataset == Mnist(train_per_class=3)
    assert challenger.model == Vgg11()
    assert challenger.training == TrainingConfig(
        epochs=100, batch_size=30, optimizer=Adam(lr=1e-3), eval_every=10
    )
    assert challenger.replicas == Replicas(search=3, final=10)
    assert (challenger.search.sampler, challenger.search.scheduler) == ("tpe", "asha")
    assert dict(challenger.space.dimensions) == WRITTEN
    assert [arm.search_budget for arm in spec.arms] == [0, 60, 60]
    assert challenger.sensitivity == (Sensitivity(over="top_k", values=tuple(range(1, 11))),)
    assert spec.resources == Resources(cpus=1, gpus=0.0)


def test_the_least_that_a_file_can_say_takes_every_default():
    spec = study("{method: challenger}")
    assert (spec.seed, spec.metric, spec.direction) == (0, "val/accuracy", "maximize")
    assert (spec.resources, spec.notes) == (Resources(), ())
    arm = only(spec)
    assert (arm.training, arm.replicas, arm.search) == (
        TrainingConfig(),
        Replicas(),
        SearchConfig(),
    )
    assert (arm.sensitivity, dict(arm.space.dimensions)) == ((), AXES)


def test_loading_reads_a_file_and_names_it_in_messages(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text("{method: base}"), encoding="utf-8")
    assert load(path).name == "t"
    path.write_text(text("{method: bass}"), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}: arms[0].method is 'bass', which is not known; did you mean 'base'?"
    )


def test_a_damaged_record_of_the_study_files_folder_is_named(tmp_path):
    (tmp_path / "study_folder.txt").write_bytes("/home/a".encode("utf-16"))
    with pytest.raises(SpecError, match="must be a text, but is damaged; remove it"):
        parse(text("{method: base}"), "s.yaml", tmp_path)


def test_anchors_and_merge_keys_share_settings():
    spec = study(
        "{method: random, search: &s {trials: 7, sampler: random}}, "
        "{method: challenger, search: {<<: *s, trials: 9}}"
    )
    assert [(arm.search.sampler, arm.search.trials) for arm in spec.arms] == [
        ("random", 7),
        ("random", 9),
    ]


def test_a_number_with_an_exponent_needs_no_dot_and_a_name_may_look_like_one():
    spec = parse(
        "name: 1e-3-adam\n" + DEFAULTS + "arms: [{method: base, training: "
        "{optimizer: {name: adam, lr: 1e-3}}}]",
        "s.yaml",
    )
    assert (spec.name, only(spec).training.optimizer) == ("1e-3-adam", Adam(lr=1e-3))


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("val/accuracy", "maximize"), ("val/auc", "maximize"), ("val/nll", "minimize")],
)
def test_the_direction_follows_from_the_metric_and_may_be_said(metric, direction):
    for said in ("", f", direction: {direction}"):
        spec = study("{method: base}", f"objective: {{metric: {metric}{said}}}")
        assert (spec.metric, spec.direction) == (metric, direction)


ENDS = st.tuples(st.floats(0.02, 0.9), st.floats(0.02, 0.9)).map(sorted)
RANGE = st.builds(
    lambda ends, log: {"low": ends[0], "high": ends[1], "log": log}, ENDS, st.booleans()
)
REAL = st.one_of(
    RANGE,
    st.lists(st.floats(0.02, 0.9), min_size=1, max_size=3, unique=True),
    st.floats(0.02, 0.9),
)
COUNTS = st.one_of(
    st.tuples(st.integers(1, 10), st.integers(1, 10)).map(
        lambda ends: {"low": min(ends), "high": max(ends)}
    ),
    st.lists(st.integers(1, 10), min_size=1, max_size=3, unique=True),
    st.integers(1, 10),
)
SPACE = st.fixed_dictionaries(
    {},
    optional={
        "top_k": COUNTS,
        "n_features": COUNTS | REAL,
        "alpha": REAL,
        "beta": REAL,
        "split": REAL,
        "a_fraction": REAL,
    },
)
FILE = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
        "seed": st.integers(-5, 5),
        "defaults": st.fixed_dictionaries(
            {
                "dataset": st.just("digits"),
                "model": st.sampled_from(["vgg11", {"name": "vgg16", "width": 0.5}]),
                "training": st.fixed_dictionaries(
                    {},
                    optional={
                        "epochs": st.integers(1, 9),
                        "optimizer": st.sampled_from(["adam", "sgd", {"name": "sgd", "lr": 1}]),
                    },
                ),
                "search": st.fixed_dictionaries(
                    {"space": SPACE}, optional={"trials": st.integers(1, 9)}
                ),
                "sensitivity": st.sampled_from([[], [{"over": "top_k"}], [{"over": "beta"}]]),
            }
        ),
        "arms": st.lists(
            st.sampled_from(
                ["base", "random", "challenger", {"name": "challenger", "k_draw": "sample"}]
            ).map(lambda method: {"method": method}),
            min_size=1,
            max_size=3,
            unique_by=lambda arm: str(arm),
        ).map(lambda arms: [{**arm, "name": f"arm{i}"} for i, arm in enumerate(arms)]),
        "objective": st.sampled_from([{}, {"metric": "val/nll"}]),
    }
)


def as_file(spec: StudySpec) -> dict[str, Any]:
    """Write a resolved study as a file that leaves nothing to defaults."""
    return {
        "name": spec.name,
        "seed": spec.seed,
        "arms": [arm_as_file(arm) for arm in spec.arms],
        "objective": {"metric": spec.metric, "direction": spec.direction},
        "resources": encode(spec.resources),
    }


def arm_as_file(arm: Arm) -> dict[str, Any]:
    data = encode(arm)
    assert (data.pop("group"), data.pop("is_baseline")) == (None, False)
    data["search"]["space"] = {
        **{name: axis.get("choices", axis) for name, axis in data["space"]["dimensions"].items()},
        **data["space"]["fixed"],
    }
    searched = data.pop("space")["dimensions"].keys() | arm.space.fixed.keys()
    data["method"] = {k: v for k, v in data["method"].items() if k not in searched}
    return data


@given(FILE)
def test_a_resolved_study_written_as_a_file_is_read_as_the_same_study(data):
    spec = parse(yaml.safe_dump(data), "s.yaml")
    again = parse(yaml.safe_dump(as_file(spec)), "again.yaml")
    # A resolved file names nothing that is skipped; a split without effect it still has.
    assert set(again.notes) <= set(spec.notes)
    assert replace(again, arms=(), notes=()) == replace(spec, arms=(), notes=())
    for one, other in zip(again.arms, spec.arms, strict=True):
        bare = replace(other.search, space=one.search.space)
        assert one == replace(other, search=bare)
        seeds = (1, 2)
        configs = [a.trial_config(a.example_point(), seeds, is_final=True) for a in (one, other)]
        assert configs[0].hash() == configs[1].hash()


@given(FILE)
def test_the_same_text_always_gives_the_same_study(data):
    content = yaml.safe_dump(data)
    assert parse(content, "a.yaml") == parse(content, "b.yaml")


def test_a_missing_file_is_refused_with_what_to_do():
    with pytest.raises(SpecError) as caught:
        load(Path("nowhere.yaml"))
    assert str(caught.value) == (
        "nowhere.yaml cannot be read: No such file or directory; name a study file."
    )
