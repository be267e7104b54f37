"""MixUp and the mixing of labels."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn
from torchvision.transforms import v2

from tests.trainables.methods.small_network import (
    N_CLASSES,
    batch,
    counted,
    multi_labels,
    network,
    seeded,
)
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import Mixup
from trainables.methods.mixup import mix, n_outputs, sample_symmetric_beta
from trainables.models import Vgg11
from trainables.seeding import stream


@pytest.mark.parametrize("concentration", [0.2, 0.5, 1.0, 2.0, 32.0])
def test_shares_follow_the_beta_distribution(concentration):
    draws = sample_symmetric_beta(concentration, 20_000, seeded(1))
    assert draws.dtype == torch.float64
    assert ((draws >= 0) & (draws <= 1)).all()
    expected = stats.beta(concentration, concentration)
    # A fixed seed: this is a check, not a gamble. A wrong exponent gives p below 1e-30.
    assert stats.kstest(draws.numpy(), expected.cdf).pvalue > 0.01


def test_small_shares_are_exact_far_below_rounding():
    draws = sample_symmetric_beta(0.05, 20_000, seeded(1))
    expected = stats.beta(0.05, 0.05)
    lower = draws[draws < 0.5].numpy()
    assert len(lower) == pytest.approx(10_000, abs=300)
    assert (lower < 1e-16).mean() > 0.1
    assert stats.kstest(lower, lambda x: expected.cdf(x) / 0.5).pvalue > 0.01


def test_a_wrong_concentration_would_be_noticed():
    draws = sample_symmetric_beta(1.0, 20_000, seeded(1)).numpy()
    assert stats.kstest(draws, stats.beta(1.2, 1.2).cdf).pvalue < 1e-6


def test_extreme_concentrations_give_neither_nan_nor_values_outside():
    for concentration in (1e-8, 1e-3, 1e6, 1e12):
        draws = sample_symmetric_beta(concentration, 10_000, seeded())
        assert ((draws >= 0) & (draws <= 1)).all()
    assert (sample_symmetric_beta(1e12, 100, seeded()) - 0.5).abs().max() < 1e-4


def test_draws_are_a_function_of_the_generator_alone():
    state = torch.get_rng_state()
    first = sample_symmetric_beta(0.3, 5, seeded(7))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(sample_symmetric_beta(0.3, 5, seeded(7)), first)
    assert not torch.equal(sample_symmetric_beta(0.3, 5, seeded(8)), first)


def test_partners_are_a_permutation_and_every_one_is_equally_likely():
    found = torch.stack([seeded(s).randperm(4) for s in range(2000)])
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
    assert n_outputs(Vgg11(width=1 / 32).build(info, stream(0, "initialisation"))) == 10
    assert n_outputs(nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))) == 3
    assert n_outputs(nn.Sequential(nn.Conv1d(4, 9, 3), nn.Conv1d(9, 5, 1))) == 5


def test_a_model_without_a_linear_layer_is_refused():
    with pytest.raises(ConfigError) as caught:
        n_outputs(nn.Sequential(nn.Flatten(), nn.ReLU()))
    assert str(caught.value) == (
        "the model must have a linear layer that gives its logits, got Sequential; "
        "mixing reads the number of classes off it."
    )


def replicated_draws(method: Mixup, count: int, seed: int) -> tuple[float, torch.Tensor]:
    """Draw as the method documents it: λ first, then the permutation."""
    source = seeded(seed)
    share = sample_symmetric_beta(method.concentration, 1, source)
    return float(share), source.randperm(count)


class TorchvisionMixUp(v2.MixUp):
    """torchvision's class with a λ that is given; it pairs each sample with the one before."""

    def __init__(self, share: float) -> None:
        super().__init__(num_classes=N_CLASSES)
        self.share = share

    def make_params(self, _inputs) -> dict[str, float]:
        return {"lam": self.share}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_multi_label", [False, True])
def test_it_is_torchvisions_for_the_same_share_and_pairs(seed, is_multi_label):
    method = Mixup(concentration=0.7)
    inputs, labels = batch()
    labels = multi_labels() if is_multi_label else labels
    found = method.perturb(network(), Batch(inputs=inputs, targets=labels), seeded(seed))
    share, pairs = replicated_draws(method, 11, seed)
    for i, partner in enumerate(pairs.tolist()):
        two, of_two = inputs[[partner, i]], labels[[partner, i]]
        mixed, soft = TorchvisionMixUp(share)(two, of_two)
        assert found.inputs[i].numpy() == pytest.approx(mixed[1].numpy(), abs=1e-14)
        assert found.targets[i].numpy() == pytest.approx(soft[1].numpy(), abs=1e-6)


def test_probabilities_sum_to_one_and_give_the_average_of_both_losses():
    method, model = Mixup(concentration=1.0), network()
    inputs, targets = batch()
    found = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(5))
    share, pairs = replicated_draws(method, 11, 5)
    assert found.targets.sum(1).tolist() == pytest.approx([1.0] * 11, abs=1e-15)
    logits = model(found.inputs).detach()
    loss = nn.functional.cross_entropy
    expected = share * loss(logits, targets) + (1 - share) * loss(logits, targets[pairs])
    assert float(loss(logits, found.targets)) == pytest.approx(float(expected), rel=1e-12)


def test_multi_labels_are_mixed_as_they_are_whatever_the_model():
    inputs, labels = batch()[0], multi_labels()
    method = Mixup(concentration=1.0)
    found = method.perturb(nn.Identity(), Batch(inputs=inputs, targets=labels), seeded(2)).targets
    share, pairs = replicated_draws(method, 11, 2)
    assert (found - (share * labels + (1 - share) * labels[pairs])).abs().max() < 1e-15


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 5, 2)])
def test_inputs_of_any_shape_are_mixed(shape):
    inputs = torch.randn(4, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 3))
    found = Mixup().perturb(
        model, Batch(inputs=inputs, targets=torch.tensor([0, 1, 2, 0])), seeded()
    )
    share, pairs = replicated_draws(Mixup(), 4, 0)
    assert (found.inputs - (share * inputs + (1 - share) * inputs[pairs])).abs().max() < 1e-6
    assert found.inputs.dtype == found.targets.dtype == torch.float32


def test_targets_too_are_a_function_of_the_generator_alone():
    inputs, targets = batch()
    state = torch.get_rng_state()
    first = Mixup().perturb(network(), Batch(inputs=inputs, targets=targets), seeded(1)).targets
    torch.manual_seed(4)
    assert torch.equal(
        Mixup().perturb(network(), Batch(inputs=inputs, targets=targets), seeded(1)).targets,
        first,
    )
    torch.set_rng_state(state)
    other = Mixup().perturb(network(), Batch(inputs=inputs, targets=targets), seeded(2)).targets
    assert not torch.equal(other, first)


def test_it_costs_no_pass(monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    Mixup().perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert (passes.forward, passes.backward) == ([], [])
