from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import CaptumLrp, GradientShap, IntegratedGradients, Noise, SmoothGrad
from trainables.attribution.noise import seeded_globals
from trainables.errors import ConfigError

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def draw() -> tuple[float, float]:
    return float(torch.rand(())), float(np.random.random())


def test_draws_depend_on_the_seed_alone_and_leave_the_global_generators_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    found = []
    for seed in (5, 5, 6):
        with seeded_globals(seed, torch.device("cpu")):
            found.append(draw())
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_the_global_generators_get_their_state_back_after_an_error():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    with pytest.raises(ZeroDivisionError), seeded_globals(0, torch.device("cpu")):
        draw()[0] / 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


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


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Noise(n_samples=0), "n_samples must be at least 1, got 0."),
        (lambda: SmoothGrad(noise=-0.1), "noise must be 0 or more, got -0.1."),
        (lambda: GradientShap(seed=-1), "seed must lie in [0, 2**32), got -1."),
        (lambda: IntegratedGradients(n_steps=0), "n_steps must be at least 1, got 0."),
        (lambda: CaptumLrp(epsilon=0.0), "epsilon must be above 0, got 0.0."),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message
