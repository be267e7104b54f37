"""Study files with something wrong in them: accepted, or refused in one message; never more."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import yaml

from study.config.study_spec import parse
from study.records.errors import SpecError
from tests.support.study_files import refusal

NAUGHTY = [
    *(None, True, False, 0, -1, 1, 2**63 - 1, 10**19, 10**400, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), -float("inf"), "", "no", "1e5", "\x1b[31m\r\n", "ä" * 500),
    *("../../x", "{x}", "%s", "optuna.db-wal", "challenger", "digits", "top_k", "alpha"),
    *([], {}, [[]], [{}], {"name": None}, {"name": []}, {"name": {"a": 1}}, {"": ""}, {1: 1}),
    *([1, 1], [1, 2], [0.5, 2], ["a", "b"], list(range(300)), {"low": 1}, {"high": -1}),
    *({"low": 2, "high": 1}, {"low": "a"}, {"log": 1}, {"low": 1, "high": 2.5, "log": True}),
]
FILE = {
    "name": "whole",
    "seed": 3,
    "defaults": {
        "dataset": {"name": "digits", "train_per_class": 3, "normalization": "unit"},
        "model": {"name": "vgg11", "width": 0.25, "initialization": "torch"},
        "training": {
            "epochs": 2,
            "batch_size": 8,
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.5},
            "schedule": {"name": "one_cycle", "warm_up": 0.2},
            "start_from": {"name": "base", "epochs": 2, "mixup": {"name": "mixup"}},
        },
        "replicas": {"search": 2, "final": 3},
        "search": {
            "sampler": "tpe",
            "trials": 4,
            "space": {
                "top_k": {"low": 1, "high": 5},
                "alpha": [0.5, 1.0],
                "beta": 1.0,
                "training.optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
            },
        },
        "sensitivity": [{"over": "top_k", "values": [1, 2, 5]}],
        "evaluation": {"occlusion": [0.25, 0.5], "bootstrap_resamples": 100},
    },
    "arms": [
        {"method": "base_finetune", "search": {"space": {}}},
        {"method": {"name": "random", "clip": [0, 1]}, "transfer": True},
        {
            "name": "searched",
            "method": {"name": "challenger", "attribution": {"name": "smooth_grad"}},
            "search": {"space": {"training.batch_size": {"low": 4, "high": 8}}},
        },
        {"method": {"name": "reldrop"}, "search": {"space": {"variant": {}, "candidates": {}}}},
    ],
    "objective": {"metric": "val/auc", "direction": "maximize"},
    "resources": {"cpus": 1, "gpus": 0.5, "custom": {"rtx": 1}, "timeout_s": 60},
}


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Return the paths of all values."""
    yield path
    items: Any = ()
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield from places(value, (*path, key))


def mutated(rng: random.Random) -> dict[str, Any]:
    """Change one to three things of a valid study file."""
    data = copy.deepcopy(FILE)
    for _ in range(rng.randint(1, 3)):
        *outer, last = rng.choice([path for path in places(data) if path])
        part: Any = data
        for key in outer:
            part = part[key]
        action = rng.randrange(5)
        if action == 0:
            del part[last]
        elif action == 1 and isinstance(part, dict):
            key = rng.choice(["x", "nmae", f"{last}s", 1, True, None, "\x1b]0;x\x07", "y" * 300])
            part[key] = part.pop(last) if rng.random() < 0.5 else part[last]
        elif action == 2:
            *others, other = rng.choice([path for path in places(data) if path])
            source: Any = data
            for key in (*others, other):
                source = source[key]
            part[last] = copy.deepcopy(source)
        else:
            part[last] = copy.deepcopy(rng.choice(NAUGHTY))
    return data


def test_the_file_that_is_changed_is_valid():
    parse(yaml.safe_dump(FILE), "s.yaml")


@pytest.mark.parametrize(
    "count", [300, pytest.param(5000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_changed_study_file_is_accepted_or_refused_in_one_short_message(count):
    rng = random.Random(20_261_130)
    refused = 0
    for _ in range(count):
        text = yaml.safe_dump(mutated(rng), allow_unicode=True)
        begun = time.process_time()
        try:
            parse(text, "s.yaml")
        except SpecError as error:
            refused += 1
            said = str(error)
            assert said.startswith("s.yaml")
            assert len(said) < 700, said
            assert said.isprintable(), said
        assert time.process_time() - begun < 2
    assert count / 2 < refused < count


BOMB = """
name: x
defaults: {dataset: digits, model: vgg11}
arms:
  - method: base
    transfer: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol]
    name: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
    replicas: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
    search: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
    evaluation: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
    sensitivity: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]
    training: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]
    dataset: [*g,*g,*g,*g,*g,*g,*g,*g,*g]
"""
START = "name: x\ndefaults: {dataset: digits, model: vgg11}\n"
CASES = {
    f"{START}arms: [{{method: {{name: [challenger]}}}}]": "arms[0].method.name must be a text,",
    "name: x\ndefaults: {dataset: {name: {a: 1}}, model: vgg11}\narms: [{method: base}]": (
        "defaults.dataset.name must be a text, got {'a': 1}"
    ),
    f"{START}arms: [{{method: challenger, name: [g], datasets: [digits, mnist]}}]": (
        "arms[0].name must be a text, got ['g']"
    ),
    f"{START}arms: [{{method: base}}]\nresources: {{custom: {{1: 1, '1': 2}}}}": (
        "a key of resources.custom must be a text, got 1;"
    ),
    f'{START}arms: [{{method: base, "\\e]0;owned\\a\\e[31m": 1}}]': (
        r"arms[0].\x1b]0;owned\x07\x1b[31m is not a setting;"
    ),
    "name: x\ndefaults: {dataset: digits, model: vgg11, replicas: {final: 100000000}}\n"
    "arms: [{method: base}]": "defaults.replicas.final must be at most 1000, got 100000000.",
    "name: no\narms: [{method: base}]": "name must be a text, got False; write it in quotes.",
    "name: 1e5\narms: [{method: base}]": "name must be a text, got 100000.0; write it in quotes.",
    "name: optuna.db-wal\narms: [{method: base}]": "name must not be 'optuna.db-wal',",
    f"{START}arms: [{{method: base}}]\nresources: {{cpus: 100000}}": (
        "resources.cpus must be at most 1024, got 100000."
    ),
    f"{START}arms: [{{method: base, training: {{batch_size: 100000000000000000}}}}]": (
        "arms[0].training.batch_size must be at most 1000000, got 100000000000000000."
    ),
    f"{START}arms: [{{method: base, model: {{width: 1e6}}}}]": (
        "arms[0].model.width must be at most 16, got 1000000.0."
    ),
    f"{START}arms: [{{method: challenger, search: {{space: {{alpha: {{high: 1e308}}}}}}}}]": (
        "arms[0].search.space.alpha.high must be at most 1e+06, got 1e+308."
    ),
    f"{START}arms: [{{method: base, evaluation: {{bootstrap_resamples: 1000000000000}}}}]": (
        "arms[0].evaluation.bootstrap_resamples must be at most 1000000,"
    ),
    f"{START}arms: [{{method: base, evaluation: {{occlusion: [{'0.5, ' * 5000}]}}}}]": (
        "arms[0].evaluation.occlusion must have fewer entries, 100 at most,"
    ),
    f"{START}arms: [{{method: challenger, search: {{space: {{top_k: [{'1, ' * 5000}]}}}}}}]": (
        "arms[0].search.space.top_k: choices must be at most 100, got 5000."
    ),
    f"{START}arms: [{'{method: base}, ' * 501}]": "arms must have fewer entries, 500 at most,",
}


@pytest.mark.parametrize(("content", "message"), CASES.items(), ids=range(len(CASES)))
def test_what_once_ended_in_a_traceback_or_was_accepted_is_refused(content, message):
    begun = time.process_time()
    assert refusal(content).startswith(message)
    assert time.process_time() - begun < 2


def test_aliases_that_double_nine_times_are_refused_at_once():
    with pytest.raises(SpecError, match="aliases make more than 10,000 values"):
        parse(BOMB, "s.yaml")


@pytest.mark.parametrize(
    "preset", [p.name for p in files("study.presets").iterdir() if p.name.endswith(".yaml")]
)
def test_presets_are_far_from_every_limit_of_size(preset):
    text = (files("study.presets") / preset).read_text("utf-8")
    assert text.count(",") + text.count("\n") < 1000
