"""Captum itself, called as its documentation says, gives what our calls of it give."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from captum import attr
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import (
    CaptumLrp,
    Deconvolution,
    DeepLift,
    GradientShap,
    GuidedBackprop,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
    epsilon_lrp,
)
from trainables.datasets import Digits
from trainables.models import Vgg11

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])
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
