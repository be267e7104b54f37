"""Captum's attributions against closed forms and Captum itself."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from captum import attr
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn

from tests.trainables.builders import Flat, conv_inputs, conv_net
from trainables.attribution import (
    ATTRIBUTIONS,
    AttnLrp,
    CaptumLrp,
    Deconvolution,
    DeepLift,
    EpsilonLrp,
    GradientShap,
    GuidedBackprop,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
    epsilon_lrp,
    input_x_gradient,
)
from trainables.attribution.gradients import eval_mode, input_gradient
from trainables.datasets import Digits
from trainables.models import Vgg11

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("kind", [SmoothGrad, GradientShap])
def test_the_result_depends_on_the_seed_and_not_on_the_global_generators(kind):
    model, inputs = conv_net(), conv_inputs()
    state = torch.get_rng_state()
    first = kind(seed=1)(model, inputs, TARGET)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(kind(seed=1)(model, inputs, TARGET), first)
    assert not torch.equal(kind(seed=2)(model, inputs, TARGET), first)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [SmoothGrad, GradientShap])
def test_the_generator_of_the_device_is_left_alone_as_well(kind):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    model, inputs = conv_net().cuda(), conv_inputs().cuda()
    state = torch.cuda.get_rng_state()
    first = kind()(model, inputs, TARGET.cuda())
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert torch.equal(kind()(model, inputs, TARGET.cuda()), first)


# Every kind of layer of the network has a rule in Captum.
SETTINGS = {
    "captum_lrp": CaptumLrp(epsilon=1e-2),
    "deconvolution": Deconvolution(),
    "deep_lift": DeepLift(),
    "gradient_shap": GradientShap(n_samples=4, noise=0.5, seed=3),
    "guided_backprop": GuidedBackprop(),
    "integrated_gradients": IntegratedGradients(n_steps=7),
    "saliency": Saliency(),
    "smooth_grad": SmoothGrad(n_samples=4, noise=0.5, seed=3),
}


def lrp(model: nn.Module) -> attr.LRP:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            layer.rule = EpsilonRule(1e-2)
    return attr.LRP(model)


def shap(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    baselines = 0.5 * torch.randn(4, *inputs.shape[1:], dtype=inputs.dtype)
    return attr.GradientShap(model).attribute(inputs, baselines, n_samples=4, target=TARGET)


DIRECT = {
    "captum_lrp": lambda model, x: lrp(model).attribute(x, target=TARGET),
    "deconvolution": lambda model, x: attr.Deconvolution(model).attribute(x, target=TARGET),
    "deep_lift": lambda model, x: attr.DeepLift(model).attribute(x, target=TARGET),
    "gradient_shap": shap,
    "guided_backprop": lambda model, x: attr.GuidedBackprop(model).attribute(x, target=TARGET),
    "integrated_gradients": lambda model, x: attr.IntegratedGradients(model).attribute(
        x, target=TARGET, n_steps=7
    ),
    "saliency": lambda model, x: attr.Saliency(model).attribute(x, target=TARGET),
    "smooth_grad": lambda model, x: attr.NoiseTunnel(attr.Saliency(model)).attribute(
        x, nt_samples=4, stdevs=0.5, target=TARGET, abs=False
    ),
}


@contextmanager
def seeded(seed: int):
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        np.random.seed(seed)
        yield
    np.random.set_state(before)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_ours_is_captums(name, batch_norm):
    model, inputs = conv_net(batch_norm=batch_norm).eval(), conv_inputs()
    found = SETTINGS[name](model, inputs, TARGET)
    with seeded(3):
        expected = DIRECT[name](model, inputs.clone()).detach()
    assert expected.abs().sum() > 0
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-4, 1e-2, 0.1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 1e-5)])
def test_captums_epsilon_lrp_is_ours_on_our_vgg(epsilon, dtype, tolerance, digits):
    settings = Vgg11(width=1 / 8)
    model = settings.build(Digits().info, torch.Generator().manual_seed(1)).to(dtype)
    inputs = digits.val.inputs[:6].to(dtype)
    found = CaptumLrp(epsilon=epsilon)(model, inputs, TARGET)
    expected = epsilon_lrp(model, inputs, TARGET, epsilon=epsilon)
    assert expected.norm() > 0
    assert (found - expected).norm() < tolerance * expected.norm()


def test_captum_gives_a_batch_norm_an_epsilon_of_its_own():
    model, inputs = conv_net(batch_norm=True), conv_inputs()
    found = CaptumLrp(epsilon=0.1)(model, inputs, TARGET)
    expected = epsilon_lrp(model, inputs, TARGET, epsilon=0.1)
    assert (found - expected).norm() > 1e-2 * expected.norm()


WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], dtype=torch.float64)
INPUTS = torch.tensor([[[2.0, 3.0, -1.0]], [[4.0, 5.0, 6.0]]], dtype=torch.float64)
CLASSES = torch.tensor([0, 1])
ROWS = WEIGHT[CLASSES][:, None]
PRODUCTS = INPUTS * ROWS

CLOSED_FORMS = [
    (CaptumLrp(epsilon=1e-12), PRODUCTS),
    # The logits are -7 and -4: |z| / (|z| + ε) of what they explain is kept.
    (CaptumLrp(epsilon=1.0), PRODUCTS * torch.tensor([7 / 8, 4 / 5])[:, None, None]),
    (AttnLrp(epsilon=1.0), PRODUCTS * torch.tensor([7 / 8, 4 / 5])[:, None, None]),
    (EpsilonLrp(epsilon=1.0), PRODUCTS * torch.tensor([7 / 8, 4 / 5])[:, None, None]),
    (ATTRIBUTIONS["input_x_gradient"](), PRODUCTS),
    (IntegratedGradients(n_steps=1), PRODUCTS),
    (DeepLift(), PRODUCTS),
    (GradientShap(noise=0.0, n_samples=2), PRODUCTS),
    (SmoothGrad(of="input_x_gradient", noise=0.0), PRODUCTS),
    (Saliency(), ROWS.abs()),
    (SmoothGrad(of="saliency"), ROWS.abs()),
    (SmoothGrad(), ROWS),
    (ATTRIBUTIONS["guided_backprop"](), ROWS),
    (ATTRIBUTIONS["deconvolution"](), ROWS),
]


def test_every_attribution_has_a_closed_form_here():
    assert {type(settings).name for settings, _ in CLOSED_FORMS} == set(ATTRIBUTIONS)


@pytest.mark.parametrize(("settings", "expected"), CLOSED_FORMS, ids=str)
def test_a_linear_model_is_explained_by_its_weights(settings, expected):
    model = Flat(WEIGHT)
    settings.check(model, INPUTS)
    expected = expected.double().expand_as(INPUTS)
    # The factors 7/8 and 4/5 are written in single precision.
    torch.testing.assert_close(settings(model, INPUTS, CLASSES), expected, rtol=1e-6, atol=1e-9)


def lively_net(*, batch_norm: bool = False) -> nn.Module:
    """Build a network whose scores depend on its inputs far more than its biases."""
    model = conv_net(batch_norm=batch_norm)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data *= 3
    return model


def scores(model, inputs):
    return model.eval()(inputs).gather(1, TARGET[:, None]).squeeze(1).detach()


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    # The gradient jumps along the path, so that the quadrature converges slowly.
    [(IntegratedGradients(n_steps=300), 2e-2), (DeepLift(), 1e-9)],
    ids=["integrated_gradients", "deep_lift"],
)
def test_the_relevances_add_up_to_the_difference_from_the_zero_input(
    settings, tolerance, batch_norm
):
    model, inputs = lively_net(batch_norm=batch_norm), conv_inputs()
    expected = scores(model, inputs) - scores(model, torch.zeros_like(inputs))
    found = settings(model, inputs, TARGET).flatten(1).sum(1)
    assert ((found - expected).abs() < tolerance * expected.abs().max()).all()
    plain = input_x_gradient(model, inputs, TARGET).flatten(1).sum(1)
    assert ((plain - expected).abs() > 4 * tolerance * expected.abs().max()).any()


def test_more_steps_bring_integrated_gradients_closer_to_its_sum():
    model, inputs = lively_net(), conv_inputs()
    expected = scores(model, inputs) - scores(model, torch.zeros_like(inputs))
    errors = [
        float(
            (
                IntegratedGradients(n_steps=n)(model, inputs, TARGET).flatten(1).sum(1) - expected
            ).norm()
        )
        for n in (2, 16, 128)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_gradient_shap_adds_up_in_expectation():
    model, inputs = lively_net(), conv_inputs()
    noise = 0.5 * torch.randn(4000, *inputs.shape[1:], dtype=inputs.dtype)
    baseline = model.eval()(noise).detach().mean(0)[TARGET]
    found = GradientShap(n_samples=2000, noise=0.5)(model, inputs, TARGET).flatten(1).sum(1)
    expected = scores(model, inputs) - baseline
    assert ((found - expected).abs() < 0.1 * expected.abs().max()).all()


@pytest.mark.parametrize("points", [3, 300])
def test_points_in_one_pass_or_in_several_give_a_mean_over_all_of_them(points):
    # 6 × 300 points exceed one pass; on a linear model every point gives the same.
    settings = GradientShap(n_samples=points, noise=0.0)
    found = settings(Flat(WEIGHT), INPUTS.repeat(3, 1, 1), CLASSES.repeat(3))
    torch.testing.assert_close(found, PRODUCTS.repeat(3, 1, 1))


def test_one_copy_without_noise_is_the_gradient_itself():
    model, inputs = conv_net(batch_norm=True), conv_inputs()
    with eval_mode(model):
        gradient = input_gradient(model, inputs, TARGET)
    one = {"n_samples": 1, "noise": 0.0}
    close = torch.testing.assert_close
    close(SmoothGrad(**one)(model, inputs, TARGET), gradient)
    close(SmoothGrad(**one, of="saliency")(model, inputs, TARGET), gradient.abs())
    close(SmoothGrad(**one, of="input_x_gradient")(model, inputs, TARGET), inputs * gradient)
    close(Saliency()(model, inputs, TARGET), gradient.abs())
    assert (gradient < 0).any()


ZERO_FOR_ZERO = [
    CaptumLrp(),
    DeepLift(),
    EpsilonLrp(),
    GradientShap(noise=0.0),
    IntegratedGradients(),
    SmoothGrad(noise=0.0, of="input_x_gradient"),
    ATTRIBUTIONS["input_x_gradient"](),
]


@pytest.mark.parametrize("settings", ZERO_FOR_ZERO, ids=lambda settings: settings.name)
def test_a_feature_of_value_zero_has_relevance_zero(settings):
    model, inputs = conv_net(), conv_inputs()
    inputs[:, :, 2:5] = 0
    relevance = settings(model, inputs, TARGET)
    assert (relevance[:, :, 2:5] == 0).all()
    assert (relevance[:, :, 5:] != 0).any()


@pytest.mark.parametrize("name", ["saliency", "smooth_grad", "guided_backprop", "deconvolution"])
def test_a_sensitivity_does_not_vanish_where_the_input_does(name):
    model, inputs = conv_net(), conv_inputs()
    inputs[:, :, 2:5] = 0
    assert (ATTRIBUTIONS[name]()(model, inputs, TARGET)[:, :, 2:5] != 0).any()


def test_the_relu_rules_are_those_of_the_papers():
    # One ReLU that is active, one that is not; from above come 2 and -3, or -2 and 3.
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    model[0].weight.data, model[0].bias.data = torch.eye(2), torch.tensor([0.0, 0.0])
    model[2].weight.data = torch.tensor([[2.0, 3.0], [-2.0, 3.0]])
    inputs = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    wrapped = nn.Sequential(nn.Flatten(), *model)
    target = torch.tensor([0, 1])
    guided = ATTRIBUTIONS["guided_backprop"]()(wrapped, inputs[:, None], target)
    deconvolved = ATTRIBUTIONS["deconvolution"]()(wrapped, inputs[:, None], target)
    assert guided[:, 0].tolist() == [[2.0, 0.0], [0.0, 0.0]]
    assert deconvolved[:, 0].tolist() == [[2.0, 3.0], [0.0, 3.0]]
