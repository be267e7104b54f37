"""Feature selection and challenges."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.errors import ConfigError
from trainables.methods.challenge import (
    BatchSplit,
    ChallengeStrength,
    SelectedFeatures,
    apply_challenge,
    check_feature_count,
    idle_reason,
    random_features,
    resolve_n_features,
    select_features,
    split_batch_size,
    top_features,
)


@pytest.mark.parametrize(
    ("n_features", "count"),
    [(1, 1), (78, 78), (1.0, 784), (0.1, 78), (0.5, 392), (1e-9, 1), (0.0019, 1), (0.002, 2)],
)
def test_an_integer_is_a_count_and_a_float_a_share_of_at_least_one(n_features, count):
    assert resolve_n_features(n_features, 784) == count


def test_without_padding_all_that_are_given_are_chosen():
    found = top_features(torch.tensor([[0.1, 0.9, 0.5], [3.0, -1.0, 2.0]]), 2)
    assert found.is_selected is None
    assert found.indices.sort(1).values.tolist() == [[1, 2], [0, 2]]


def chosen(scores, n_features, mask) -> list[set[int]]:
    found = top_features(torch.tensor(scores), n_features, torch.tensor(mask))
    pairs = zip(found.indices.tolist(), found.is_selected.tolist(), strict=True)
    return [{i for i, is_one in zip(*pair, strict=True) if is_one} for pair in pairs]


def test_padding_is_never_chosen_however_high_its_score():
    mask = [[True, True, False, True], [False, False, True, False]]
    assert chosen([[1.0, 2.0, 9.0, 3.0], [9.0, 9.0, -5.0, 9.0]], 2, mask) == [{1, 3}, {2}]


def test_a_share_is_one_of_the_features_that_a_sample_has():
    scores = torch.arange(20.0).repeat(3, 1).tolist()
    mask = [[True] * 20, [True] * 10 + [False] * 10, [True] * 3 + [False] * 17]
    found = chosen(scores, 0.2, mask)
    assert found == [{16, 17, 18, 19}, {8, 9}, {2}]


@given(
    data=st.data(),
    total=st.integers(1, 40),
    n_features=st.one_of(st.integers(1, 40), st.floats(0.001, 1.0)),
)
def test_exactly_the_highest_of_a_samples_own_features_are_chosen(data, total, n_features):
    n_features = min(n_features, total) if isinstance(n_features, int) else n_features
    mask = data.draw(st.lists(st.booleans(), min_size=total, max_size=total))
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scores = torch.randn(total, generator=source).tolist()
    own = sorted((i for i in range(total) if mask[i]), key=lambda i: -scores[i])
    wanted = n_features if isinstance(n_features, int) else max(1, round(n_features * len(own)))
    assert chosen([scores], n_features, [mask]) == [set(own[:wanted])]


def test_a_sample_of_nothing_but_padding_has_nothing_chosen():
    assert chosen([[1.0, 2.0]], 0.5, [[False, False]]) == [set()]
    assert chosen([[1.0, 2.0]], 1, [[False, False]]) == [set()]


@given(data=st.data(), n_features=st.one_of(st.integers(1, 12), st.floats(0.01, 1.0)))
def test_a_mask_of_everything_changes_nothing(data, n_features):
    scores = torch.rand(
        3, 12, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    )
    plain = top_features(scores, n_features)
    masked = top_features(scores, n_features, torch.ones(3, 12, dtype=torch.bool))
    assert masked.is_selected.all()
    assert torch.equal(plain.indices.sort(1).values, masked.indices.sort(1).values)


UNIT = st.floats(0, 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unlabeled(inputs) -> Batch:
    return Batch(inputs=inputs, targets=torch.zeros(len(inputs), dtype=torch.long))


def all_of(indices) -> SelectedFeatures:
    return SelectedFeatures(indices=indices, is_selected=None)


@pytest.mark.parametrize(
    ("batch", "split", "a_fraction", "a", "b"),
    [
        (30, 0.5, 0.5, 7, 7),  # the paper's 25 / 25 / 50 on the whole of tinyMNIST
        (100, 0.29, 1.0, 29, 0),  # 0.29 * 100 is 28.999999999999996
        (100, 0.29, 0.0, 0, 29),
        (100, 0.58, 0.5, 29, 29),
        (1000, 0.5, 0.9, 450, 50),  # 1 - 0.9 is 0.09999999999999998
        (7, 0.5, 0.5, 1, 1),
        (3, 0.5, 0.5, 0, 0),
        (1, 0.99, 0.5, 0, 0),
        (9, 0.9, 0.25, 2, 6),
    ],
)
def test_shares_are_rounded_down_and_whole_ones_stay_whole(batch, split, a_fraction, a, b):
    found = split_batch_size(batch, split, a_fraction)
    assert found == BatchSplit(a=a, b=b)
    assert found.challenged == a + b


@given(batch=st.integers(0, 10_000), split=UNIT, a_fraction=UNIT)
def test_shares_never_exceed_what_was_asked_nor_fall_short_by_a_sample(batch, split, a_fraction):
    found = split_batch_size(batch, split, a_fraction)
    tiny = 1e-8
    assert 0 <= found.challenged <= batch
    for part, share in ((found.a, a_fraction), (found.b, 1 - a_fraction)):
        exact = batch * split * share
        assert part <= exact + tiny
        assert part > exact - 1 - tiny


@given(batch=st.integers(1, 60), split=st.floats(0.02, 0.99), a_fraction=UNIT)
def test_a_batch_is_idle_if_it_has_no_part_and_the_stated_size_is_the_least_that_is_not(
    batch, split, a_fraction
):
    reason = idle_reason(batch, split, a_fraction)
    is_idle = split_batch_size(batch, split, a_fraction).challenged == 0
    assert (reason is not None) == is_idle
    if reason is not None:
        least = int(re.search(r"batch of (\d+)", reason)[1])
        assert split_batch_size(least, split, a_fraction).challenged > 0
        assert split_batch_size(least - 1, split, a_fraction).challenged == 0


@given(data=st.data(), batch=st.integers(1, 2000))
def test_whole_numbers_of_samples_are_met_exactly(data, batch):
    challenged = data.draw(st.integers(0, batch))
    lowered = data.draw(st.integers(0, challenged))
    found = split_batch_size(batch, challenged / batch, lowered / max(1, challenged))
    assert found == BatchSplit(a=lowered, b=challenged - lowered)


def test_the_highest_or_the_lowest_relevances_are_selected_per_sample():
    relevance = torch.randn(200, 2, 3, 4)
    found = select_features(relevance, 5, seeded()).indices.numpy()
    order = np.argsort(relevance.flatten(1).numpy(), axis=1)
    sides = []
    for row, ranked in zip(found, order, strict=True):
        lowest, highest = set(ranked[:5]), set(ranked[-5:])
        assert set(row) in (lowest, highest)
        sides.append(set(row) == highest)
    # Binomial(200, 1/2): 60 and 140 are 5.7 standard deviations away.
    assert 60 < sum(sides) < 140


def test_the_coin_below_one_half_takes_the_highest():
    relevance = torch.arange(6.0).reshape(1, 1, 6).expand(50, 1, 6)
    found = select_features(relevance, 2, seeded(3)).indices
    coins = torch.rand(50, 1, generator=generator(3)).squeeze(1)
    for row, coin in zip(found.tolist(), coins.tolist(), strict=True):
        assert sorted(row) == ([4, 5] if coin < 0.5 else [0, 1])


def test_selecting_all_features_selects_each_once():
    found = select_features(torch.randn(4, 1, 9), 9, seeded()).indices
    assert found.sort(1).values.tolist() == [list(range(9))] * 4


def test_random_features_are_distinct_and_uniform():
    inputs = torch.zeros(4000, 2, 5)
    found = random_features(unlabeled(inputs), 3, seeded()).indices
    assert found.shape == (4000, 3)
    assert all(len(set(row)) == 3 for row in found.tolist())
    counts = torch.bincount(found.flatten(), minlength=10)
    # Each feature is drawn with probability 3/10: 1200 ± 29; five standard deviations.
    assert ((counts - 1200).abs() < 145).all()


def test_random_features_ignore_the_values_and_follow_the_generator():
    inputs = torch.randn(8, 1, 20)

    def draw(values, seed: int) -> torch.Tensor:
        return random_features(unlabeled(values), 4, seeded(seed)).indices

    first = draw(inputs, 1)
    assert torch.equal(first, draw(-5 * inputs, 1))
    assert not torch.equal(first, draw(inputs, 2))


def test_a_is_lowered_by_alpha_b_is_raised_by_beta_and_the_rest_stays():
    inputs = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]).repeat(4, 1, 1)
    before = inputs.clone()
    features = all_of(torch.tensor([[0, 3], [1, 2], [2, 0]]))
    found = apply_challenge(
        inputs, features, BatchSplit(a=1, b=2), ChallengeStrength(alpha=0.5, beta=2.0)
    )
    assert found.tolist() == [
        [[0.5, 2.0], [3.0, 3.5]],
        [[1.0, 4.0], [5.0, 4.0]],
        [[3.0, 2.0], [5.0, 4.0]],
        [[1.0, 2.0], [3.0, 4.0]],
    ]
    assert torch.equal(inputs, before)


def test_features_that_are_not_chosen_stay():
    inputs = torch.ones(1, 1, 3)
    features = SelectedFeatures(
        indices=torch.tensor([[2, 0]]), is_selected=torch.tensor([[True, False]])
    )
    found = apply_challenge(
        inputs, features, BatchSplit(a=0, b=1), ChallengeStrength(alpha=1.0, beta=2.0)
    )
    assert found.tolist() == [[[1.0, 1.0, 3.0]]]


def test_only_challenged_samples_are_clipped():
    inputs = torch.tensor([[[0.25, 3.0]], [[-3.0, 0.75]], [[-9.0, 9.0]]])
    strength = ChallengeStrength(alpha=2.0, beta=2.0, clip=(-1.0, 1.0))
    found = apply_challenge(
        inputs, all_of(torch.tensor([[0], [1]])), BatchSplit(a=1, b=1), strength
    )
    assert found.tolist() == [[[-1.0, 1.0]], [[-1.0, 1.0]], [[-9.0, 9.0]]]


def test_more_features_than_there_are_are_refused():
    with pytest.raises(ConfigError) as caught:
        check_feature_count(785, 784)
    assert str(caught.value) == "n_features must not exceed the 784 input features, got 785."
    check_feature_count(784, 784)
    check_feature_count(1.0, 784)
