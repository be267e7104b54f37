from __future__ import annotations

import pytest
import torch

from trainables.datasets import Samples
from trainables.datasets.samples import TokenSamples


@pytest.fixture
def samples() -> TokenSamples:
    """Return three texts of at most four words out of five; word 0 has no vector."""
    vectors = torch.randn(6, 3)
    vectors[0] = 0
    tokens = torch.tensor([[1, 0, 5, 0], [0, 0, 0, 0], [2, 3, 4, 5]], dtype=torch.int16)
    return TokenSamples(tokens=tokens, vectors=vectors, targets=torch.tensor([1, 0, 2]))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_it_is_samples(samples):
    assert isinstance(samples, Samples)
    assert len(samples) == 3


def test_a_batch_has_the_vector_of_each_word_along_the_channels(samples):
    batch = samples.make_batch(torch.tensor([2, 0]), generator())
    assert batch.inputs.shape == (2, 3, 4)
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.is_contiguous()
    assert torch.equal(batch.inputs[0], samples.vectors[[2, 3, 4, 5]].T)
    assert torch.equal(batch.inputs[1, :, 2], samples.vectors[5])
    assert batch.targets.tolist() == [2, 1]


def test_positions_without_a_vector_are_zero_and_not_occupied(samples):
    batch = samples.make_batch(torch.arange(3), generator())
    valid_mask = [[True, False, True, False], [False] * 4, [True] * 4]
    assert batch.valid_mask.tolist() == valid_mask
    assert (batch.inputs[~batch.valid_mask[:, None].expand(-1, 3, -1)] == 0).all()
    assert (batch.inputs[0, :, 0] != 0).all()


def test_nothing_is_drawn(samples):
    source = generator()
    before = source.get_state()
    samples.make_batch(torch.arange(3), source)
    assert torch.equal(source.get_state(), before)


def test_there_is_one_view_and_it_is_the_batch(samples):
    indices = torch.tensor([1, 2])
    views = samples.views(indices)
    assert views.shape == (1, 2, 3, 4)
    assert torch.equal(views[0], samples.make_batch(indices, generator()).inputs)


def test_a_view_is_occupied_where_its_batch_is(samples):
    indices = torch.tensor([2, 0])
    valid_mask = samples.valid_mask(indices)
    assert torch.equal(valid_mask, samples.make_batch(indices, generator()).valid_mask[None])


def test_a_part_keeps_small_tokens_and_shares_the_vectors(samples):
    part = samples.take(torch.tensor([2, 0]))
    assert part.tokens.tolist() == [[2, 3, 4, 5], [1, 0, 5, 0]]
    assert part.tokens.dtype == torch.int16
    assert part.targets.tolist() == [2, 1]
    assert part.vectors is samples.vectors


def test_all_of_it_moves_to_a_device(samples):
    moved = samples.to(torch.device("meta"))
    kinds = {tensor.device.type for tensor in (moved.tokens, moved.vectors, moved.targets)}
    assert kinds == {"meta"}
    assert moved.tokens.dtype == torch.int16


def test_32_texts_of_1000_words_are_embedded_as_one_batch_and_no_more():
    n_texts = 2000
    samples = TokenSamples(
        tokens=torch.randint(0, 50, (n_texts, 1000), dtype=torch.int16),
        vectors=torch.randn(50, 100),
        targets=torch.zeros(n_texts, dtype=torch.long),
    )
    indices = torch.arange(32)
    with torch.profiler.profile(profile_memory=True) as profile:
        batch = samples.make_batch(indices, generator())
    assert batch.inputs.shape == (32, 100, 1000)
    allocated = sum(max(0, event.self_cpu_memory_usage) for event in profile.events())
    # The batch twice (words first, then dimensions first) and its tokens, not 2,000 texts.
    assert 12.8e6 < allocated < 2.1 * 12.8e6
