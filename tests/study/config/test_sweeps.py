"""Sweeps asked for at the command line: kept, checked, and joined to the file's."""

from __future__ import annotations

import json
import re

import pytest

from study.config.schema import Sensitivity
from study.config.sweeps import add_sweeps, read_values, with_sweeps
from study.records.errors import SpecError
from study.storage.layout import StorageRoot
from tests.support.study_files import study

SPEC = study(
    "{method: base}, {method: random}, "
    "{method: challenger, sensitivity: [{over: top_k, values: [1, 2]}]}"
)


@pytest.fixture
def folder(tmp_path):
    return StorageRoot(root=tmp_path).study("t")


def test_without_any_the_study_is_as_its_file_says(folder):
    assert with_sweeps(SPEC, folder) == SPEC
    assert not folder.path.exists()


def test_a_sweep_is_asked_of_all_arms_that_search_the_dimension_and_is_kept(folder):
    spec = add_sweeps(SPEC, folder, ["alpha"])
    assert [list(arm.sweeps()) for arm in spec.arms] == [[], ["alpha"], ["top_k", "alpha"]]
    assert with_sweeps(SPEC, folder) == spec
    assert json.loads(folder.sweeps.read_text(encoding="utf-8"))["arms"] == {
        "random": [{"over": "alpha", "values": None}],
        "challenger": [{"over": "alpha", "values": None}],
    }


def test_a_sweep_may_be_asked_of_one_arm_and_of_several_dimensions(folder):
    spec = add_sweeps(SPEC, folder, ["alpha", "beta"], arm="random")
    assert [list(arm.sweeps()) for arm in spec.arms] == [[], ["alpha", "beta"], ["top_k"]]


def test_values_are_joined_to_those_of_the_file_and_asked_for_once(folder):
    for _ in range(2):
        spec = add_sweeps(SPEC, folder, ["top_k"], values=(2, 5))
    assert spec.arm("challenger").sweeps() == {"top_k": (1, 2, 5)}
    assert len(json.loads(folder.sweeps.read_text(encoding="utf-8"))["arms"]["challenger"]) == 1
    spec = add_sweeps(SPEC, folder, ["top_k"])
    assert spec.arm("challenger").sweeps() == {"top_k": (1, 2, 5, 3, 4, 6, 7, 8, 9, 10)}


def test_integers_are_kept_as_real_numbers_where_those_are_searched(folder):
    spec = add_sweeps(SPEC, folder, ["alpha"], values=(1, 2), arm="random")
    assert spec.arm("random").sensitivity == (Sensitivity(over="alpha", values=(1.0, 2.0)),)
    assert json.loads(folder.sweeps.read_text(encoding="utf-8"))["arms"] == {
        "random": [{"over": "alpha", "values": [1.0, 2.0]}]
    }


@pytest.mark.parametrize(
    ("over", "values", "arm", "message"),
    [
        (["tpo_k"], None, None, "no arm searches 'tpo_k'; did you mean 'top_k'?"),
        (["alpha", "tpo_k"], None, None, "no arm searches 'tpo_k'; did you mean 'top_k'?"),
        (["a_fraction"], None, None, "no arm searches 'a_fraction'; known: alpha, beta, n_"),
        (["top_k"], None, "random", "arm 'random' does not search 'top_k'; known: alpha, "),
        (["top_k"], None, "base", "arm 'base' does not search 'top_k'; known: none."),
        (["top_k"], None, "radnom", "has no arm 'radnom'; did you mean 'random'?"),
        (["top_k"], (1, 11), None, "--values: top_k is 11, but digits has 10 classes; lower "),
        (["top_k"], (1, 2.5), None, "--values: top_k must be an integer, got 2.5."),
        (["split"], (0.5, 1.0), None, "--values: split must be below 1, got 1.0."),
        (["n_features"], (10, 20), None, "--values: n_features must be swept over real numbers"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_and_nothing_is_kept(folder, over, values, arm, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        add_sweeps(SPEC, folder, over, values, arm)
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("1,2,5", (1, 2, 5)),
        ("0.5, 1e-3", (0.5, 1e-3)),
        ("topk,target", ("topk", "target")),
    ],
)
def test_values_are_read_as_they_are_typed(typed, values):
    found = read_values(typed)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("3", "--values must be two or more different values, got [3]."),
        ("", "--values must be two or more different values, got []."),
        ("1,1", "--values must be two or more different values, got [1, 1]."),
        ("1,[2]", "--values[1] must be a number, a text, true or false, got [2]."),
        ("1,[", "--values must be a list such as 1,2,5, got '1,['."),
        ("1], x: [2", "--values must be a list such as 1,2,5, got '1], x: [2'."),
    ],
)
def test_values_that_are_none_are_refused(typed, message):
    with pytest.raises(SpecError) as caught:
        read_values(typed)
    assert str(caught.value) == message
