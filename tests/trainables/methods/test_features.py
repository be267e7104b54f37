from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.methods.features import count_features, highest


@pytest.mark.parametrize(
    ("n_features", "count"),
    [(1, 1), (78, 78), (1.0, 784), (0.1, 78), (0.5, 392), (1e-9, 1), (0.0019, 1), (0.002, 2)],
)
def test_an_integer_is_a_count_and_a_float_a_share_of_at_least_one(n_features, count):
    assert count_features(n_features, 784) == count


def test_without_padding_all_that_are_given_are_chosen():
    found = highest(torch.tensor([[0.1, 0.9, 0.5], [3.0, -1.0, 2.0]]), 2)
    assert found.is_chosen is None
    assert found.indices.sort(1).values.tolist() == [[1, 2], [0, 2]]


def chosen(scores, n_features, mask) -> list[set[int]]:
    found = highest(torch.tensor(scores), n_features, torch.tensor(mask))
    pairs = zip(found.indices.tolist(), found.is_chosen.tolist(), strict=True)
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
    plain = highest(scores, n_features)
    masked = highest(scores, n_features, torch.ones(3, 12, dtype=torch.bool))
    assert masked.is_chosen.all()
    assert torch.equal(plain.indices.sort(1).values, masked.indices.sort(1).values)
