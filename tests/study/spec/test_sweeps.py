"""Sweeps asked for at the command line: kept, checked, and joined to the file's."""

from __future__ import annotations

import json

import pytest

from study.errors import SpecError
from study.spec.settings import Sensitivity
from study.spec.sweeps import Wish, ask_for_sweep, read_values, with_sweeps
from study.store.folder import Storage
from tests.study.study_files import study

SPEC = study(
    "{method: base}, {method: random}, "
    "{method: challenger, sensitivity: [{over: top_k, values: [1, 2]}]}"
)


@pytest.fixture
def folder(tmp_path):
    return Storage(root=tmp_path).study("t")


def wish(*over: str, values: tuple | None = None, arm: str | None = None) -> Wish:
    return Wish(over=over, values=values, arm=arm)


def refusal(folder, wished: Wish) -> str:
    with pytest.raises(SpecError) as caught:
        ask_for_sweep(SPEC, folder, wished)
    return str(caught.value)


def test_without_any_the_study_is_as_its_file_says(folder):
    assert with_sweeps(SPEC, folder) == SPEC
    assert not folder.path.exists()


def test_a_sweep_is_asked_of_all_arms_that_search_the_dimension_and_is_kept(folder):
    spec = ask_for_sweep(SPEC, folder, wish("alpha"))
    assert [list(arm.sweeps()) for arm in spec.arms] == [[], ["alpha"], ["top_k", "alpha"]]
    assert with_sweeps(SPEC, folder) == spec
    assert json.loads(folder.sweeps.read_text(encoding="utf-8")) == {
        "random": [{"over": "alpha", "values": None}],
        "challenger": [{"over": "alpha", "values": None}],
    }


def test_a_sweep_may_be_asked_of_one_arm_and_of_several_dimensions(folder):
    spec = ask_for_sweep(SPEC, folder, wish("alpha", "beta", arm="random"))
    assert [list(arm.sweeps()) for arm in spec.arms] == [[], ["alpha", "beta"], ["top_k"]]


def test_values_are_joined_to_those_of_the_file_and_asked_for_once(folder):
    for _ in range(2):
        spec = ask_for_sweep(SPEC, folder, wish("top_k", values=(2, 5)))
    assert spec.arm("challenger").sweeps() == {"top_k": (1, 2, 5)}
    assert len(json.loads(folder.sweeps.read_text(encoding="utf-8"))["challenger"]) == 1
    spec = ask_for_sweep(SPEC, folder, wish("top_k"))
    assert spec.arm("challenger").sweeps() == {"top_k": (1, 2, 5, 3, 4, 6, 7, 8, 9, 10)}


def test_integers_are_kept_as_real_numbers_where_those_are_searched(folder):
    spec = ask_for_sweep(SPEC, folder, wish("alpha", values=(1, 2), arm="random"))
    assert spec.arm("random").sensitivity == (Sensitivity(over="alpha", values=(1.0, 2.0)),)
    assert json.loads(folder.sweeps.read_text(encoding="utf-8")) == {
        "random": [{"over": "alpha", "values": [1.0, 2.0]}]
    }


@pytest.mark.parametrize(
    ("wished", "message"),
    [
        (
            wish("tpo_k"),
            "study 't': no arm searches 'tpo_k'; did you mean 'top_k'?",
        ),
        (
            wish("a_share"),
            "study 't': no arm searches 'a_share'; known: alpha, beta, n_features, split, top_k.",
        ),
        (
            wish("top_k", arm="random"),
            "study 't': arm 'random' does not search 'top_k'; known: alpha, beta, n_features, "
            "split.",
        ),
        (
            wish("top_k", arm="base"),
            "study 't': arm 'base' does not search 'top_k'; known: none.",
        ),
        (wish("top_k", arm="radnom"), "study 't' has no arm 'radnom'; did you mean 'random'?"),
        (
            wish("top_k", values=(1, 11)),
            "--values: top_k is 11, but digits has 10 classes; lower it to 10 or less.",
        ),
        (wish("top_k", values=(1, 2.5)), "--values: top_k must be an integer, got 2.5."),
        (wish("split", values=(0.5, 1.0)), "--values: split must lie in (0, 1), got 1."),
        (
            wish("n_features", values=(10, 20)),
            "--values: n_features must be swept over real numbers, as it is searched, got "
            "[10, 20].",
        ),
        (wish("alpha", "tpo_k"), "study 't': no arm searches 'tpo_k'; did you mean 'top_k'?"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_and_nothing_is_kept(folder, wished, message):
    assert refusal(folder, wished) == message
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
        ("1,[2]", "--values[1] must be a number, got [2]."),
        ("1,[", "--values must be a list such as 1,2,5, got '1,['."),
        ("1], x: [2", "--values must be a list such as 1,2,5, got '1], x: [2'."),
    ],
)
def test_values_that_are_none_are_refused(typed, message):
    with pytest.raises(SpecError) as caught:
        read_values(typed)
    assert str(caught.value) == message
