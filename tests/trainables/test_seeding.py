from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.seeding import derive_seed, seeded_global_rng, stream

PURPOSES = st.lists(st.one_of(st.integers(0, 1000), st.sampled_from("abc")), max_size=3)


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ((0, "initialisation"), 195582241778919),
        ((0, "shuffling", 1), 203507354778515),
        ((7, "challenge", 12), 162962270924614),
        ((-3, "split", "train", 5), 197026367651187),
    ],
)
def test_derived_seeds_never_change_between_versions(purpose, expected):
    assert derive_seed(*purpose) == expected


def test_a_stream_draws_the_same_numbers_in_every_version():
    order = torch.randperm(8, generator=stream(0, "shuffling", 1))
    assert order.tolist() == [7, 0, 1, 3, 2, 5, 6, 4]
    draws = torch.rand(3, generator=stream(0, "challenge", 1)).tolist()
    assert draws == [0.08916008472442627, 0.4265400767326355, 0.05128014087677002]


@given(seed=st.integers(), purpose=PURPOSES)
def test_a_seed_is_a_pure_function_and_fits_into_48_bits(seed, purpose):
    found = derive_seed(seed, *purpose)
    assert found == derive_seed(seed, *purpose)
    assert 0 <= found < 2**48


def test_streams_differ_by_seed_purpose_and_epoch():
    keys = [
        (seed, purpose, epoch)
        for seed in range(-2, 20)
        for purpose in ("shuffling", "challenge", "dropout")
        for epoch in range(1, 20)
    ]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a/b",), ("a", "b")),
        (("a", "b"), ("ab",)),
        (("1",), (1,)),
        ((1, 1), (11,)),
        (('a", "b',), ("a", "b")),
        (("a", ""), ("a",)),
    ],
)
def test_purposes_that_look_alike_when_joined_give_different_seeds(one, other):
    assert derive_seed(0, *one) != derive_seed(0, *other)


@given(one=PURPOSES, other=PURPOSES, seed=st.integers(-9, 9))
def test_only_equal_purposes_share_a_seed(one, other, seed):
    assert (derive_seed(seed, *one) == derive_seed(seed, *other)) == (one == other)


def test_streams_of_neighboring_seeds_are_uncorrelated():
    draws = torch.stack([torch.rand(4000, generator=stream(s, "challenge", 1)) for s in range(8)])
    correlation = torch.corrcoef(draws) - torch.eye(8)
    # Each of 28 correlations has a standard deviation of 1/√4000 = 0.016; five of them.
    assert correlation.abs().max() < 0.079


def test_drawing_from_one_stream_does_not_move_another_or_the_global_one():
    state = torch.get_rng_state()
    first, second = stream(0, "a"), stream(0, "b")
    torch.rand(100, generator=first)
    assert torch.equal(torch.rand(3, generator=second), torch.rand(3, generator=stream(0, "b")))
    assert torch.equal(torch.get_rng_state(), state)


def draw() -> tuple[float, float]:
    return float(torch.rand(())), float(np.random.random())


def test_draws_depend_on_the_seed_alone_and_leave_the_global_generators_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    found = []
    for seed in (5, 5, 6):
        with seeded_global_rng(seed, torch.device("cpu")):
            found.append(draw())
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_the_global_generators_get_their_state_back_after_an_error():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    with pytest.raises(ZeroDivisionError), seeded_global_rng(0, torch.device("cpu")):
        draw()[0] / 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
