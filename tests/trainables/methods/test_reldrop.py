from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.oracles import reldrop as oracle
from tests.trainables.builders import Flat, conv_inputs, conv_net, trial
from tests.trainables.methods.small_network import (
    batch,
    counted,
    multi_labels,
    network,
    seeded,
)
from trainables.attribution import EpsilonLrp, InputXGradient
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import RelDrop
from trainables.methods.rectangles import rand
from trainables.methods.reldrop import min_max_scaled, position_relevance

SERIES = replace(Digits().info, domain="series", input_shape=(12, 250))
ALWAYS = RelDrop(probability=1.0, fill=-7.0)


def dropped(method: RelDrop, model: nn.Module, inputs, targets, seed: int = 0) -> torch.Tensor:
    """Return the dropped positions, and check that all of their channels are."""
    found = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(seed))
    changed = found.inputs == method.fill
    assert torch.equal(found.inputs[~changed], inputs[~changed])
    assert (changed == changed[:, :1]).all()
    return changed[:, 0]


class Painted:
    """A model whose relevances are known: class 0 sees ones through a picture of weights."""

    def __init__(self, picture: torch.Tensor, count: int) -> None:
        weight = torch.stack([picture.flatten(), torch.zeros(picture.numel())])
        self.model = Flat(weight)
        self.inputs = torch.ones(count, *picture.shape)
        self.targets = torch.zeros(count, dtype=torch.long)

    def dropped(self, method: RelDrop, seed: int = 0) -> torch.Tensor:
        exact = replace(method, attribution=InputXGradient())
        return dropped(exact, self.model, self.inputs, self.targets, seed)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_relevances_are_scaled_to_0_and_1_over_the_sample(values):
    found = min_max_scaled(torch.tensor([values, values], dtype=torch.float64))
    assert found[0].tolist() == pytest.approx(oracle.rescaled(values), abs=1e-12)
    assert torch.equal(found[0], found[1])
    assert 0 <= found.min() <= found.max() <= 1


def test_relevances_without_differences_or_of_any_magnitude_are_scaled_without_nan():
    assert min_max_scaled(torch.full((2, 3), 5.0)).tolist() == [[0.0] * 3] * 2
    for magnitude in (1e-30, 1e30):
        values = magnitude * torch.tensor([[-1.0, 0.0, 1.0]])
        assert min_max_scaled(values)[0].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_relevances_are_summed_over_channels_but_not_over_features_without_a_grid():
    relevance = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(position_relevance(relevance), relevance.sum(1))
    assert torch.equal(position_relevance(relevance[:, :, 0]), relevance[:, :, 0])


@pytest.mark.parametrize("mix", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_pixel_variant_is_the_papers_mask_for_the_same_draws(mix, threshold):
    model = network()
    inputs, targets = batch(8)
    method = replace(ALWAYS, mix=mix, threshold=threshold)
    found = dropped(method, model, inputs, targets, 4)
    relevance = EpsilonLrp()(model, inputs, targets).sum(1).flatten(1).tolist()
    chance = rand((8, 6, 6), seeded(4)).flatten(1).tolist()
    for mask, r, draws in zip(found.flatten(1).tolist(), relevance, chance, strict=True):
        expected = [
            oracle.is_dropped(r_hat, u, mix, 1 - threshold)
            for r_hat, u in zip(oracle.rescaled(r), draws, strict=True)
        ]
        assert mask == expected


@pytest.mark.parametrize(("mix", "threshold"), [(0.3, 0.5), (0.5, 0.5), (0.8, 0.3), (1.0, 0.7)])
def test_each_position_is_dropped_with_the_probability_of_the_closed_form(mix, threshold):
    picture = torch.linspace(-1, 3, 21).reshape(1, 21)
    painted = Painted(picture, 4000)
    method = replace(ALWAYS, mix=mix, threshold=threshold)
    rates = painted.dropped(method).double().mean(0).tolist()
    for r_hat, rate in zip(oracle.rescaled(picture[0].tolist()), rates, strict=True):
        expected = oracle.drop_probability(r_hat, mix, 1 - threshold)
        # Four standard deviations of 4000 coins at most.
        assert rate == pytest.approx(expected, abs=0.032)


def test_all_chance_is_dropout_and_no_chance_a_cut_through_the_relevances():
    painted = Painted(torch.arange(10.0).reshape(1, 10), 50)
    cut = painted.dropped(replace(ALWAYS, mix=0.0, threshold=0.7))
    assert torch.equal(cut, (torch.arange(10) >= 7).expand(50, 10))
    first = painted.dropped(replace(ALWAYS, mix=1.0))
    other = Painted(-torch.arange(10.0).reshape(1, 10), 50).dropped(replace(ALWAYS, mix=1.0))
    assert torch.equal(first, other)


def test_the_true_class_is_explained():
    weight = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 9.0, 0.0, 9.0]])
    inputs = torch.ones(3, 1, 4)
    method = replace(ALWAYS, mix=0.0, attribution=InputXGradient())
    found = dropped(method, Flat(weight), inputs, torch.tensor([0, 1, 2]))
    assert found.long().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    # Of several classes the highest-ranked is.
    several = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    inputs[0, 0, 2] = 2.0
    found = dropped(method, Flat(weight), inputs, several)
    assert found.long().tolist() == [[0, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 0]]


def test_each_sample_is_changed_with_the_probability_in_the_pixel_variant():
    painted = Painted(torch.arange(10.0).reshape(1, 10), 400)
    changed = int(painted.dropped(RelDrop(probability=0.25, fill=-7.0)).any(1).sum())
    # Binomial(400, 1/4) is 100 ± 9: four standard deviations.
    assert 65 < changed < 135
    assert not painted.dropped(RelDrop(probability=0.0, fill=-7.0)).any()


@pytest.mark.parametrize("shape", [(4, 7), (2, 5, 6), (3, 2, 3, 4)])
def test_whole_tokens_time_steps_and_pixels_are_dropped(shape):
    inputs = torch.randn(6, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 3))
    mask = dropped(ALWAYS, model, inputs, torch.arange(6) % 3)
    assert mask.shape == (6, *shape[1:])
    assert 0 < mask.double().mean() < 1


def test_features_without_a_grid_are_dropped_one_by_one():
    inputs = torch.randn(6, 9)
    found = ALWAYS.perturb(
        nn.Linear(9, 3), Batch(inputs=inputs, targets=torch.arange(6) % 3), seeded()
    )
    assert 0 < (found.inputs == -7.0).double().mean() < 1
    assert (found.inputs == -7.0).any(1).all()


BLOCK = replace(ALWAYS, variant="block")


def edges(mask: torch.Tensor) -> tuple[int, int, int, int]:
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    assert int(mask.sum()) == (bottom - top) * (right - left)
    return top, bottom, left, right


@pytest.mark.parametrize("peak", [(0, 0), (9, 6), (11, 0), (4, 13), (11, 13)])
def test_a_block_lies_around_the_most_relevant_pixel_and_inside_the_image(peak):
    picture = torch.zeros(1, 12, 14)
    picture[0, peak[0], peak[1]] = 1.0
    masks = Painted(picture, 200).dropped(BLOCK)
    sizes = set()
    for mask in masks:
        top, bottom, left, right = edges(mask)
        assert top <= peak[0] < bottom
        assert left <= peak[1] < right
        # The center is the peak, but for what the borders cut off and half a pixel.
        for low, high, center, length in ((top, bottom, peak[0], 12), (left, right, peak[1], 14)):
            if low > 0 and high < length:
                assert abs(center - low - (high - 1 - center)) <= 1
        sizes.add((bottom - top, right - left))
        assert int(mask.sum()) <= 0.4 * 168 + 14
    assert len(sizes) > 20


def test_whole_blocks_have_an_area_and_an_aspect_ratio_within_their_ranges():
    picture = torch.zeros(1, 101, 101)
    picture[0, 50, 50] = 1.0
    method = replace(BLOCK, min_area=0.02, max_area=0.1, ratio=0.5)
    for mask in Painted(picture, 300).dropped(method):
        top, bottom, left, right = edges(mask)
        height, width = bottom - top, right - left
        assert (height + 0.5) * (width + 0.5) >= 0.02 * 101**2
        assert (height - 0.5) * (width - 0.5) <= 0.1 * 101**2
        assert (height + 0.5) / (width - 0.5) >= 0.5
        assert (height - 0.5) / (width + 0.5) <= 2


def test_the_center_is_one_of_the_candidates_each_equally_likely():
    picture = torch.zeros(1, 9, 9)
    peaks = [(1, 1), (1, 7), (7, 4)]
    for rank, (row, column) in enumerate(peaks):
        picture[0, row, column] = 3.0 - rank / 10
    method = replace(BLOCK, candidates=3, min_area=1e-6, max_area=1e-6)
    masks = Painted(picture, 600).dropped(method)
    centers = [tuple(mask.nonzero()[0].tolist()) for mask in masks]
    assert (masks.sum((1, 2)) == 1).all()
    assert set(centers) == set(peaks)
    # Binomial(600, 1/3) is 200 ± 12: four standard deviations.
    assert all(150 < centers.count(peak) < 250 for peak in peaks)


def test_the_whole_batch_is_changed_or_not_in_the_block_variant():
    picture = torch.zeros(1, 6, 6)
    picture[0, 3, 3] = 1.0
    painted = Painted(picture, 3)
    method = replace(BLOCK, probability=0.25)
    masks = [painted.dropped(method, seed).flatten(1).any(1) for seed in range(400)]
    assert all(mask.all() or not mask.any() for mask in masks)
    assert 65 < sum(bool(mask.all()) for mask in masks) < 135


@pytest.mark.parametrize("variant", ["pixel", "block"])
def test_the_measured_rate_is_the_counted_share_of_the_whole_batch(variant):
    model = conv_net()
    inputs, targets = conv_inputs(40), torch.arange(40) % 5
    method = RelDrop(variant=variant, probability=0.6, fill=-7.0)
    for seed in range(6):
        found = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(seed))
        rate = float((found.inputs == -7.0).double().mean())
        assert set(found.train_metrics) == {"drop_rate"}
        assert float(found.train_metrics["drop_rate"]) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("variant", ["pixel", "block"])
def test_it_costs_one_forward_and_one_input_only_backward_of_the_batch(variant, monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    found = RelDrop(variant=variant).perturb(
        model, Batch(inputs=inputs, targets=targets), seeded()
    )
    assert passes.forward == [11]
    assert passes.backward == [True]
    assert found.targets is targets
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("variant", ["pixel", "block"])
def test_its_draws_are_a_function_of_the_generator_alone(variant):
    model = network()
    inputs, targets = batch()
    method = RelDrop(variant=variant, probability=1.0)
    state = torch.get_rng_state()
    first = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(1)).inputs
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    assert torch.equal(
        method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(1)).inputs, first
    )
    assert not torch.equal(
        method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(2)).inputs, first
    )


def test_the_attribution_is_a_setting():
    model = network()
    inputs, targets = batch()
    found = [
        replace(ALWAYS, attribution=attribution)
        .perturb(model, Batch(inputs=inputs, targets=targets), seeded(1))
        .inputs
        for attribution in (EpsilonLrp(epsilon=10.0), EpsilonLrp(epsilon=0.0), InputXGradient())
    ]
    assert torch.equal(found[1], found[2])
    assert not torch.equal(found[0], found[1])


def test_multi_labels_are_given_back_as_they_are():
    labels = multi_labels()
    assert (
        RelDrop().perturb(network(), Batch(inputs=batch()[0], targets=labels), seeded()).targets
        is labels
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: RelDrop(variant="block").check(SERIES),
            "variant is 'block', which works on images, but the dataset's domain is 'series'; "
            "choose 'pixel'.",
        ),
        (
            lambda: RelDrop(variant="block", candidates=785).check(Digits().info),
            "candidates must not exceed the 784 pixels, got 785.",
        ),
    ],
)
def test_settings_out_of_range_and_other_data_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_settings_at_the_border_of_their_range_are_accepted():
    for unit in (0.0, 1.0):
        method = RelDrop(variant="block", probability=unit, mix=unit, threshold=unit)
        replace(trial(), method=replace(method, candidates=784))
    RelDrop().check(SERIES)
