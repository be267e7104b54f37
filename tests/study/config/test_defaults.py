from __future__ import annotations

import copy

import pytest

from study.config.defaults import has_path, merge

BASE = {
    "dataset": {"name": "digits", "val_size": 9},
    "model": "vgg11",
    "training": {"epochs": 7, "optimizer": {"name": "sgd", "lr": 0.5}},
    "search": {"space": {"alpha": {"low": 1, "high": 2}, "beta": 3}},
}


@pytest.mark.parametrize(
    ("own", "changed"),
    [
        ({}, {}),
        ({"dataset": "digits"}, {}),
        ({"dataset": "mnist"}, {"dataset": "mnist"}),
        ({"dataset": {"name": "mnist"}}, {"dataset": {"name": "mnist"}}),
        ({"dataset": {"val_size": 3}}, {"dataset": {"name": "digits", "val_size": 3}}),
        ({"model": {"width": 2}}, {"model": {"name": "vgg11", "width": 2}}),
        ({"model": {"name": "vgg16"}}, {"model": {"name": "vgg16"}}),
        (
            {"training": {"optimizer": {"lr": 1}}},
            {"training": {"epochs": 7, "optimizer": {"name": "sgd", "lr": 1}}},
        ),
        (
            {"training": {"optimizer": "adam"}},
            {"training": {"epochs": 7, "optimizer": "adam"}},
        ),
        (
            {"search": {"space": {"alpha": {"high": 5}, "beta": {"low": 1}}}},
            {"search": {"space": {"alpha": {"low": 1, "high": 5}, "beta": {"low": 1}}}},
        ),
        ({"search": {"space": {"alpha": 3}}}, {"search": {"space": {"alpha": 3, "beta": 3}}}),
        ({"search": None}, {"search": None}),
        ({"new": {"a": 1}}, {"new": {"a": 1}}),
        ({"method": "base"}, {"method": "base"}),
    ],
)
def test_own_keys_go_before_the_defaults_at_every_depth(own, changed):
    before, mine = copy.deepcopy(BASE), copy.deepcopy(own)
    assert merge(BASE, own) == {**BASE, **changed}
    assert (before, mine) == (BASE, own)


def test_a_path_is_held_as_far_as_the_file_says_something():
    assert has_path(BASE, ("search", "space", "alpha", "low"))
    assert has_path(BASE, ())
    assert not has_path(BASE, ("search", "space", "beta", "low"))
    assert not has_path(BASE, ("model", "name"))
    assert not has_path(None, ("x",))
