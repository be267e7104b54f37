from __future__ import annotations

import warnings

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tests.oracles import challenger as oracle
from tests.trainables.builders import ConvNet, conv_inputs, conv_net
from trainables.attribution import EpsilonLrp, epsilon_lrp, input_x_gradient
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.models import Vgg11

EPSILONS = [1e-6, 1e-4, 1e-2, 0.1]
TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def relative_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert expected.norm() > 0
    return float((found - expected).norm() / expected.norm())


def captum(model: nn.Module, inputs: torch.Tensor, target: torch.Tensor, epsilon: float):
    # Captum deletes the rules after every call; its max pools keep their own, without an ε.
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.rule = EpsilonRule(epsilon)
    model.eval()
    with warnings.catch_warnings():
        # Captum says that it sets requires_grad on inputs which lack it.
        warnings.simplefilter("ignore", UserWarning)
        return LRP(model).attribute(inputs.clone(), target=target).detach()


def small_vgg() -> nn.Module:
    return Vgg11(width=1 / 8, initialization="torch").build(Digits().info, torch.Generator())


def test_without_epsilon_it_is_exactly_input_times_gradient():
    model, inputs = conv_net(), conv_inputs()
    leaf = inputs.clone().requires_grad_()
    model.eval()(leaf).gather(1, TARGET[:, None]).sum().backward()

    relevance = epsilon_lrp(model, inputs, TARGET, epsilon=0.0)

    assert torch.equal(relevance, inputs * leaf.grad)
    assert torch.equal(relevance, input_x_gradient(model, inputs, TARGET))


def test_with_epsilon_it_is_not_input_times_gradient():
    model, inputs = conv_net(), conv_inputs()
    damped = epsilon_lrp(model, inputs, TARGET, epsilon=0.1)
    assert relative_difference(damped, input_x_gradient(model, inputs, TARGET)) > 0.05


def test_without_biases_and_epsilon_relevance_is_conserved():
    model, inputs = conv_net(bias=False), conv_inputs()
    logits = model.eval()(inputs).gather(1, TARGET[:, None]).squeeze(1)
    relevance = epsilon_lrp(model, inputs, TARGET, epsilon=0.0)
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits, rtol=1e-12, atol=1e-12)


def test_epsilon_takes_relevance_away():
    model, inputs = conv_net(bias=False), conv_inputs()
    logits = model.eval()(inputs).gather(1, TARGET[:, None]).squeeze(1).abs()
    kept = epsilon_lrp(model, inputs, TARGET, epsilon=0.1).flatten(1).sum(1).abs()
    assert (kept < logits).all()


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_it_agrees_with_captum_on_convolutions_max_pools_and_linear_layers(epsilon):
    model, inputs = conv_net(), conv_inputs()
    expected = captum(model, inputs, TARGET, epsilon)
    found = epsilon_lrp(model, inputs, TARGET, epsilon=epsilon)
    assert relative_difference(found, expected) < 1e-5


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_it_agrees_with_captum_on_our_vgg(epsilon, digits):
    model = small_vgg().double()
    inputs = digits.val.inputs[:6].double()
    expected = captum(model, inputs, TARGET, epsilon)
    found = epsilon_lrp(model, inputs, TARGET, epsilon=epsilon)
    assert relative_difference(found, expected) < 1e-5


def test_it_agrees_with_captum_on_our_vgg_in_single_precision(digits):
    model, inputs = small_vgg(), digits.val.inputs[:6]
    expected = captum(model, inputs, TARGET, 1e-2)
    assert relative_difference(epsilon_lrp(model, inputs, TARGET, epsilon=1e-2), expected) < 1e-5


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_it_is_layer_wise_propagation_by_the_papers_equation(epsilon):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    inputs = torch.randn(4, 1, 6, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 0])
    layers = [
        oracle.dense(model[1].weight.tolist(), model[1].bias.tolist()),
        oracle.Relu(),
        oracle.dense(model[3].weight.tolist(), model[3].bias.tolist()),
    ]
    expected = [
        oracle.relevance(layers, x, k, epsilon)
        for x, k in zip(inputs.flatten(1).tolist(), target.tolist(), strict=True)
    ]
    found = epsilon_lrp(model, inputs, target, epsilon=epsilon).flatten(1)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_a_batch_norm_after_a_convolution_counts_as_one_layer_with_it(epsilon, mode):
    model, inputs = conv_net(batch_norm=True).eval(), conv_inputs()
    fused = ConvNet().double().eval()
    conv, norm, *others = model.features
    fused.features = nn.Sequential(fuse_conv_bn_eval(conv, norm), *others)
    fused.head = model.head
    torch.testing.assert_close(fused(inputs), model(inputs))

    found = epsilon_lrp(model, inputs, TARGET, epsilon=epsilon, epsilon_mode=mode)
    expected = epsilon_lrp(fused, inputs, TARGET, epsilon=epsilon, epsilon_mode=mode)
    assert relative_difference(found, expected) < 1e-10


@pytest.mark.parametrize("mode", ["absolute", "relative"])
def test_a_feature_of_value_zero_has_relevance_zero(mode):
    model, inputs = conv_net(), conv_inputs()
    inputs[:, :, 2:5] = 0
    relevance = epsilon_lrp(model, inputs, TARGET, epsilon_mode=mode)
    assert (relevance[:, :, 2:5] == 0).all()
    assert (relevance[:, :, 5:] != 0).any()


@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-60, 1e-46, 1e-6])
def test_a_silent_network_gives_zeros_and_not_nan(epsilon, mode):
    # 1e-46 is 0 in single precision: |z| / (|z| + ε) would be 0 / 0.
    model = Vgg11(width=1 / 32).build(Digits().info, torch.Generator().manual_seed(0))
    model.background = 0.0
    inputs = torch.zeros(2, 1, 28, 28)
    target = torch.tensor([0, 1])
    relevance = epsilon_lrp(model, inputs, target, epsilon=epsilon, epsilon_mode=mode)
    assert (relevance == 0).all()


def biases_times(model: nn.Module, factor: float) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bias.data *= factor
    return model


def test_relative_epsilon_follows_the_scale_of_the_inputs():
    # With the biases scaled as well, every pre-activation is 4 times as large; 4 is exact.
    model, inputs = conv_net(), conv_inputs()
    before = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode="relative")
    absolute = epsilon_lrp(model, inputs, TARGET, epsilon=0.1)
    biases_times(model, 4)
    after = epsilon_lrp(model, 4 * inputs, TARGET, epsilon=0.1, epsilon_mode="relative")

    assert torch.equal(after, 4 * before)
    assert torch.equal(after.flatten(1).argsort(1), before.flatten(1).argsort(1))
    shifted = epsilon_lrp(model, 4 * inputs, TARGET, epsilon=0.1)
    assert relative_difference(shifted, 4 * absolute) > 1e-2


def test_relative_epsilon_does_not_see_how_scale_is_shared_between_layers():
    model, inputs = conv_net(), conv_inputs()
    before = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode="relative")
    absolute = epsilon_lrp(model, inputs, TARGET, epsilon=0.1)
    model.features[0].weight.data *= 8
    model.features[0].bias.data *= 8
    model.features[3].weight.data /= 8

    after = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode="relative")
    assert torch.equal(after, before)
    assert relative_difference(epsilon_lrp(model, inputs, TARGET, epsilon=0.1), absolute) > 1e-2


def test_relative_epsilon_is_a_share_of_the_root_mean_square_of_each_sample():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).double()
    model[1].weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    inputs = torch.tensor([[[1.0, 1.0]], [[10.0, 10.0]]], dtype=torch.float64)
    target = torch.tensor([0, 1])
    found = epsilon_lrp(model, inputs, target, epsilon=0.5, epsilon_mode="relative")
    margin = 0.5 * 12.5**0.5  # z is (3, 4) and ten times that
    expected = [[[3 * 3 / (3 + margin), 0]], [[0, 40 * 4 / (4 + margin)]]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_samples_do_not_influence_each_other():
    model, inputs = conv_net(batch_norm=True), conv_inputs()
    together = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode="relative")
    alone = epsilon_lrp(model, inputs[2:3], TARGET[2:3], epsilon=0.1, epsilon_mode="relative")
    torch.testing.assert_close(together[2:3], alone, rtol=1e-12, atol=1e-14)


def test_it_costs_one_forward_and_one_backward_pass_without_parameter_gradients():
    model, inputs = conv_net(), conv_inputs()
    forwards, backwards, parameter_gradients = [], [], []

    def count(_module, _inputs, output) -> None:
        forwards.append(len(output))
        output.register_hook(backwards.append)

    model.register_forward_hook(count)
    for parameter in model.parameters():
        parameter.register_hook(parameter_gradients.append)

    epsilon_lrp(model, inputs, lambda logits: logits.argmax(1), epsilon=1e-2)

    assert forwards == [6]
    assert len(backwards) == 1
    assert parameter_gradients == []


def test_a_layer_that_is_used_twice_is_damped_by_its_own_output_each_time():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, inputs) -> torch.Tensor:
            return self.layer(self.layer(inputs.flatten(1)).relu())

    model = Twice().double()
    weight, bias = model.layer.weight.tolist(), model.layer.bias.tolist()
    layers = [oracle.dense(weight, bias), oracle.Relu(), oracle.dense(weight, bias)]
    inputs = torch.randn(2, 1, 3, dtype=torch.float64)
    expected = [oracle.relevance(layers, x, 1, 0.1) for x in inputs.flatten(1).tolist()]
    found = epsilon_lrp(model, inputs, torch.tensor([1, 1]), epsilon=0.1).flatten(1)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_the_hooks_are_gone_afterwards_also_when_the_model_raises():
    model, inputs = conv_net(batch_norm=True), conv_inputs()
    epsilon_lrp(model, inputs, TARGET)
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(RuntimeError):
        epsilon_lrp(model, inputs[:, :1], TARGET)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_negative_epsilon_is_refused():
    with pytest.raises(ConfigError) as caught:
        epsilon_lrp(conv_net(), conv_inputs(), TARGET, epsilon=-0.5)
    assert str(caught.value) == "epsilon must be 0 or more, got -0.5."


def test_the_setting_hands_its_fields_on():
    model, inputs = conv_net(), conv_inputs()
    setting = EpsilonLrp(epsilon=0.1, epsilon_mode="relative")
    expected = epsilon_lrp(model, inputs, TARGET, epsilon=0.1, epsilon_mode="relative")
    assert torch.equal(setting(model, inputs, TARGET), expected)
    assert not torch.equal(EpsilonLrp(epsilon=0.1)(model, inputs, TARGET), expected)
