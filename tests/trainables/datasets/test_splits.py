from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.datasets import DatasetInfo, Splits
from trainables.datasets.splits import per_class_indices, stratified_indices
from trainables.datasets.subset import complement
from trainables.datasets.tensor_samples import TensorSamples


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=80)


@given(classes=CLASSES, data=st.data())
def test_stratified_draws_are_distinct_and_within_one_of_their_proportion(classes, data):
    targets = torch.tensor(classes)
    size = data.draw(st.integers(1, len(classes)))
    found = stratified_indices(targets, size, generator())
    assert len(found) == size
    assert (found.diff() > 0).all()
    drawn = torch.bincount(targets[found], minlength=6)
    exact = torch.bincount(targets, minlength=6) * size / len(classes)
    assert ((drawn - exact).abs() < 1 + 1e-9).all()


def test_equal_classes_stay_equal():
    targets = torch.arange(10).repeat(50)
    found = stratified_indices(targets, 70, generator())
    assert torch.bincount(targets[found]).tolist() == [7] * 10


def test_what_rounding_leaves_goes_to_the_largest_remainders():
    targets = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    # 4 of 10: 2.0, 1.2 and 0.8 samples.
    assert torch.bincount(targets[stratified_indices(targets, 4, generator())]).tolist() == [
        2,
        1,
        1,
    ]


def test_draws_follow_the_generator():
    targets = torch.arange(10).repeat(20)
    first = stratified_indices(targets, 20, generator(1))
    assert torch.equal(first, stratified_indices(targets, 20, generator(1)))
    assert not torch.equal(first, stratified_indices(targets, 20, generator(2)))
    assert not torch.equal(
        per_class_indices(targets, 2, generator(1)), per_class_indices(targets, 2, generator(2))
    )


def test_every_sample_of_a_class_is_equally_likely():
    targets = torch.tensor([0, 1] * 5)
    counts = torch.zeros(10)
    for seed in range(1000):
        counts[per_class_indices(targets, 2, generator(seed))] += 1
    # Each with probability 2/5: 400 ± 15.5; five standard deviations.
    assert ((counts - 400).abs() < 78).all()


def test_the_same_number_of_each_class_is_drawn():
    targets = torch.tensor([0] * 9 + [1] * 3 + [2] * 5)
    found = per_class_indices(targets, 3, generator())
    assert torch.bincount(targets[found]).tolist() == [3, 3, 3]
    assert (found.diff() > 0).all()


@given(size=st.integers(1, 30), data=st.data())
def test_the_complement_is_what_is_left(size, data):
    chosen = data.draw(st.sets(st.integers(0, size - 1)))
    left = complement(torch.tensor(sorted(chosen), dtype=torch.long), size).tolist()
    assert left == [i for i in range(size) if i not in chosen]


def test_samples_are_taken_by_index():
    samples = TensorSamples(inputs=torch.arange(8.0).reshape(4, 1, 2), targets=torch.arange(4))
    found = samples.take(torch.tensor([3, 1]))
    assert len(samples) == 4
    assert found.targets.tolist() == [3, 1]
    assert found.inputs.tolist() == [[[6.0, 7.0]], [[2.0, 3.0]]]


def test_moving_keeps_the_splits_apart():
    one, two, three = (
        TensorSamples(inputs=torch.full((1, 1, 1), float(i)), targets=torch.tensor([i]))
        for i in range(3)
    )
    moved = Splits(train=one, val=two, test=three).to(torch.device("cpu"))
    assert [int(s.targets) for s in (moved.train, moved.val, moved.test)] == [0, 1, 2]


@pytest.mark.parametrize(("shape", "count"), [((1, 28, 28), 784), ((12, 250), 3000)])
def test_the_features_are_counted_without_padding(shape, count):
    info = DatasetInfo(n_classes=2, input_shape=shape, domain="image", background=0.0)
    assert info.n_features == count
