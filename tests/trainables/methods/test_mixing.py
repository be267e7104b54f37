from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from tests.trainables.methods.small_network import seeded
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods.mixing import count_outputs, mix, symmetric_beta
from trainables.models import Vgg11
from trainables.seeding import stream


@pytest.mark.parametrize("concentration", [0.2, 0.5, 1.0, 2.0, 32.0])
def test_shares_follow_the_beta_distribution(concentration):
    draws = symmetric_beta(concentration, 20_000, seeded(1))
    assert draws.dtype == torch.float64
    assert ((draws >= 0) & (draws <= 1)).all()
    expected = stats.beta(concentration, concentration)
    # A fixed seed: this is a check, not a gamble. A wrong exponent gives p below 1e-30.
    assert stats.kstest(draws.numpy(), expected.cdf).pvalue > 0.01


def test_small_shares_are_exact_far_below_rounding():
    draws = symmetric_beta(0.05, 20_000, seeded(1))
    expected = stats.beta(0.05, 0.05)
    lower = draws[draws < 0.5].numpy()
    assert len(lower) == pytest.approx(10_000, abs=300)
    assert (lower < 1e-16).mean() > 0.1
    assert stats.kstest(lower, lambda x: expected.cdf(x) / 0.5).pvalue > 0.01


def test_a_wrong_concentration_would_be_noticed():
    draws = symmetric_beta(1.0, 20_000, seeded(1)).numpy()
    assert stats.kstest(draws, stats.beta(1.2, 1.2).cdf).pvalue < 1e-6


def test_extreme_concentrations_give_neither_nan_nor_values_outside():
    for concentration in (1e-8, 1e-3, 1e6, 1e12):
        draws = symmetric_beta(concentration, 10_000, seeded())
        assert ((draws >= 0) & (draws <= 1)).all()
    assert (symmetric_beta(1e12, 100, seeded()) - 0.5).abs().max() < 1e-4


def test_draws_are_a_function_of_the_generator_alone():
    state = torch.get_rng_state()
    first = symmetric_beta(0.3, 5, seeded(7))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(symmetric_beta(0.3, 5, seeded(7)), first)
    assert not torch.equal(symmetric_beta(0.3, 5, seeded(8)), first)


def test_partners_are_a_permutation_and_every_one_is_equally_likely():
    found = torch.stack([seeded(s).permutation(4) for s in range(2000)])
    assert (found.sort(1).values == torch.arange(4)).all()
    # Each partner is drawn with probability 1/4: 500 ± 19; five standard deviations.
    counts = torch.stack([torch.bincount(column, minlength=4) for column in found.T])
    assert ((counts - 500).abs() < 97).all()


def test_samples_are_averaged_with_their_partners():
    values = torch.tensor([[1.0], [10.0], [100.0]])
    mixed = mix(values, torch.tensor([1, 2, 0]), torch.full((3,), 0.75, dtype=torch.float64))
    assert mixed.tolist() == [[3.25], [32.5], [75.25]]
    assert mixed.dtype == torch.float32


def test_the_number_of_classes_is_read_off_the_last_linear_layer():
    info = Digits().info
    assert count_outputs(Vgg11(width=1 / 32).build(info, stream(0, "initialisation"))) == 10
    assert count_outputs(nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))) == 3
    assert count_outputs(nn.Sequential(nn.Conv1d(4, 9, 3), nn.Conv1d(9, 5, 1))) == 5


def test_a_model_without_a_linear_layer_is_refused():
    with pytest.raises(ConfigError) as caught:
        count_outputs(nn.Sequential(nn.Flatten(), nn.ReLU()))
    assert str(caught.value) == (
        "the model must have a linear layer that gives its logits, got Sequential; "
        "mixing reads the number of classes off it."
    )
