from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from tests.trainables.builders import ConvNet, conv_inputs, conv_net
from trainables.attribution import epsilon_lrp, epsilon_rule
from trainables.attribution.epsilon_rule import (
    EpsilonRule,
    EpsilonRuleReLU,
    scale_gradient,
    stabilizer_for,
)

MODES = ["absolute", "relative"]
TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def outputs_and_gradient(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def by_the_formula(gradient, outputs, stabilizer) -> torch.Tensor:
    return gradient * outputs.abs() / (outputs.abs() + stabilizer)


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_is_scaled_by_the_magnitude_over_itself_and_the_margin(mode):
    outputs, gradient = outputs_and_gradient(5, 3, 4)
    outputs[0, 0, 0] = 0
    stabilizer = stabilizer_for(outputs, 0.1, mode)
    leaf = outputs.clone().requires_grad_()
    damped = EpsilonRule.apply(leaf, stabilizer, False)
    assert torch.equal(damped, outputs)
    damped.backward(gradient)
    torch.testing.assert_close(leaf.grad, by_the_formula(gradient, outputs, stabilizer))
    assert leaf.grad[0, 0, 0] == 0


def test_a_relative_margin_is_a_share_of_the_root_mean_square_of_each_sample():
    outputs = torch.tensor([[3.0, 4.0], [30.0, 40.0]])
    stabilizer = stabilizer_for(outputs, 0.5, "relative")
    expected = torch.tensor([[0.5 * 12.5**0.5], [5 * 12.5**0.5]])
    torch.testing.assert_close(stabilizer, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("elements", [1, 7, 24, 10**6])
def test_how_many_elements_are_scaled_at_a_time_changes_no_bit(mode, elements, monkeypatch):
    outputs, gradient = outputs_and_gradient(5, 3, 4)
    stabilizer = stabilizer_for(outputs, 0.1, mode)
    expected = gradient * (outputs.abs() / (outputs.abs() + stabilizer))
    monkeypatch.setattr(epsilon_rule, "_CHUNK_ELEMENTS", elements)
    assert torch.equal(scale_gradient(gradient, outputs, stabilizer), expected)


def test_the_gradient_itself_is_left_as_it_is():
    # Where a network branches, autograd hands the same memory to both branches.
    outputs, gradient = outputs_and_gradient(2, 3)
    before = gradient.clone()
    scale_gradient(gradient, outputs, 0.1)
    assert torch.equal(gradient, before)


def test_a_network_that_branches_is_damped_on_one_branch_alone():
    outputs, gradient = outputs_and_gradient(2, 3)
    leaf = outputs.clone().requires_grad_()
    inner = leaf * 1
    (inner + EpsilonRule.apply(inner, 0.1, False)).backward(gradient)
    expected = gradient + by_the_formula(gradient, outputs, 0.1)
    torch.testing.assert_close(leaf.grad, expected)


def test_layouts_of_memory_do_not_matter():
    outputs, gradient = outputs_and_gradient(3, 4, 5, 6)
    expected = by_the_formula(gradient, outputs, 0.1)
    last = outputs.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(scale_gradient(gradient, last, 0.1), expected)
    flipped = gradient.transpose(0, 3).contiguous().transpose(0, 3)
    torch.testing.assert_close(scale_gradient(flipped, outputs, 0.1), expected)


def test_an_empty_batch_has_an_empty_gradient():
    assert scale_gradient(torch.ones(0, 3), torch.ones(0, 3), 0.1).shape == (0, 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_relu_and_the_damping_before_it_are_one_pass_with_the_same_gradient(mode):
    outputs, gradient = outputs_and_gradient(5, 3, 4)
    stabilizer = stabilizer_for(outputs, 0.1, mode)
    one, other = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    EpsilonRule.apply(one, stabilizer, False).relu().backward(gradient)
    fused = EpsilonRuleReLU.apply(other, other.detach().relu(), stabilizer)
    assert torch.equal(fused, outputs.relu())
    fused.backward(gradient)
    assert torch.equal(other.grad, one.grad)


class Branching(nn.Module):
    """A layer whose output goes through a ReLU and past it, and through the same ReLU again."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.relu = nn.ReLU()

    def forward(self, inputs) -> torch.Tensor:
        outputs = self.layer(inputs.flatten(1))
        return self.relu(outputs) + 2 * outputs + 3 * self.relu(outputs - 0.1)


def test_what_goes_past_a_relu_is_damped_too():
    model = Branching().double()
    inputs = torch.randn(4, 1, 3, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 0])
    outputs = model.layer(inputs.flatten(1)).detach()
    at_outputs = (outputs > 0).double() + 2 + 3 * (outputs > 0.1).double()
    chosen = nn.functional.one_hot(target, 3)
    at_inputs = by_the_formula(at_outputs * chosen, outputs, 0.1) @ model.layer.weight.detach()
    found = epsilon_lrp(model, inputs, target, epsilon=0.1)
    torch.testing.assert_close(found, inputs * at_inputs[:, None])


@pytest.mark.parametrize("mode", MODES)
def test_activations_that_overwrite_what_they_are_given_get_a_copy(mode):
    model, inputs = conv_net(batch_norm=True), conv_inputs()
    expected = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode=mode)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    found = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode=mode)
    torch.testing.assert_close(found, expected)


class Stacked(nn.Module):
    """Several networks of one shape as one, by vmap; autograd is outside of it."""

    def __init__(self, networks: list[nn.Module], *, samples_first: bool) -> None:
        super().__init__()
        self.weights, self.statistics = stack_module_state(networks)
        self.layers = networks[0]
        self.samples_dim = 1 if samples_first else 0

    def forward(self, inputs) -> torch.Tensor:
        def one(weights, statistics, inputs) -> torch.Tensor:
            return functional_call(self.layers, ({**weights, **statistics}), (inputs,))

        run = vmap(one, in_dims=(0, 0, self.samples_dim), out_dims=self.samples_dim)
        return run(self.weights, self.statistics, inputs)


@pytest.mark.parametrize("samples_first", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_networks_stacked_by_vmap_are_explained_as_each_by_itself(
    mode, batch_norm, samples_first, monkeypatch
):
    networks: list[nn.Module] = [conv_net(batch_norm=batch_norm) for _ in range(3)]
    inputs = [conv_inputs() for _ in networks]
    rule = {"epsilon": 0.1, "epsilon_mode": mode}
    expected = [epsilon_lrp(n, x, TARGET, **rule) for n, x in zip(networks, inputs, strict=True)]
    dim = 1 if samples_first else 0
    joint = Flattened(Stacked(networks, samples_first=samples_first), dim)
    monkeypatch.setattr(epsilon_rule, "_CHUNK_ELEMENTS", 100)
    together = torch.stack(inputs, dim).flatten(0, 1)
    target = torch.stack([TARGET] * 3, dim).flatten(0, 1)
    found = epsilon_lrp(joint, together, target, **rule)
    flat = torch.stack(expected, dim).flatten(0, 1)
    torch.testing.assert_close(found, flat, rtol=1e-9, atol=1e-12)


class Flattened(nn.Module):
    """Networks and samples in one dimension, as an attribution wants them."""

    def __init__(self, stacked: Stacked, dim: int) -> None:
        super().__init__()
        self.stacked, self.dim = stacked, dim

    def forward(self, inputs) -> torch.Tensor:
        sizes = (-1, 3) if self.dim else (3, -1)
        return self.stacked(inputs.unflatten(0, sizes)).flatten(0, 1)


def test_every_relu_of_a_network_is_joined_with_the_layer_before_it(monkeypatch):
    fused = []
    original = EpsilonRuleReLU.apply
    monkeypatch.setattr(
        EpsilonRuleReLU, "apply", lambda *given: fused.append(1) or original(*given)
    )
    for batch_norm in (False, True):
        fused.clear()
        epsilon_lrp(ConvNet(batch_norm=batch_norm), conv_inputs().float(), TARGET)
        assert len(fused) == 3
