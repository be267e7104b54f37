from __future__ import annotations

import pytest
import torch

from trainables.batch import Batch, interleave
from trainables.replica_rng import ReplicaRNG

SEEDS = (5, 0, 3)


def rng(*seeds: int) -> ReplicaRNG:
    return ReplicaRNG.of(*(torch.Generator().manual_seed(seed) for seed in seeds))


def own_rows(drawn: torch.Tensor, replica: int) -> torch.Tensor:
    return drawn[replica :: len(SEEDS)]


def test_every_replica_draws_what_it_would_draw_alone():
    together = rng(*SEEDS)
    rand, randint = together.rand(12, 2), together.randint(9, 6, 1)
    pairs = together.randperm(15)
    for replica, seed in enumerate(SEEDS):
        alone = rng(seed)
        assert torch.equal(own_rows(rand, replica), alone.rand(4, 2))
        assert torch.equal(own_rows(randint, replica), alone.randint(9, 2, 1))
        # A partner is a row of the same replica.
        own = own_rows(pairs, replica)
        assert (own % len(SEEDS) == replica).all()
        assert torch.equal(own // len(SEEDS), alone.randperm(5))


def test_rows_need_not_be_the_first_dimension():
    together = rng(*SEEDS).rand(2, 6, 4, batch_dim=1, dtype=torch.float64)
    assert together.shape == (2, 6, 4)
    for replica, seed in enumerate(SEEDS):
        alone = rng(seed).rand(2, 2, 4, batch_dim=1, dtype=torch.float64)
        assert torch.equal(together[:, replica :: len(SEEDS)], alone)


def test_one_replica_draws_as_its_generator_does():
    alone = rng(7).rand(5, 3)
    assert torch.equal(alone, torch.rand(5, 3, generator=torch.Generator().manual_seed(7)))


@pytest.mark.parametrize("is_padded", [False, True])
def test_a_joint_batch_holds_the_samples_by_turns(is_padded):
    batches = [
        Batch(
            inputs=torch.full((4, 1, 2), float(replica)) + torch.arange(4.0)[:, None, None] / 10,
            targets=torch.arange(4) + 10 * replica,
            valid_mask=torch.ones(4, 2, dtype=torch.bool) if is_padded else None,
        )
        for replica in range(3)
    ]
    whole = interleave(batches)
    assert (len(whole), whole.n_replicas) == (12, 3)
    assert whole.targets.tolist() == [0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23]
    assert (whole.valid_mask is not None) == is_padded
    for replica, batch in enumerate(batches):
        assert torch.equal(own_rows(whole.inputs, replica), batch.inputs)
    # The first rows are the first samples of every replica.
    assert whole.first(6).targets.tolist() == [0, 10, 20, 1, 11, 21]
    assert whole.first(6).n_replicas == 3
    assert whole.split_by_replica(whole.targets).tolist()[1] == [1, 11, 21]
    assert whole.repeat_per_sample(torch.tensor([7, 8, 9])).tolist() == [7, 8, 9] * 4


def test_a_batch_of_one_replica_is_left_as_it_is():
    batch = Batch(inputs=torch.zeros(2, 1, 1), targets=torch.zeros(2, dtype=torch.long))
    assert interleave([batch]) is batch
