from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import ATTRIBUTIONS
from trainables.attribution.captum_call import ROWS_PER_PASS, captum_call, points_per_pass, twin

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def test_a_twin_has_other_modules_and_the_same_memory():
    model = conv_net(batch_norm=True)
    other = twin(model)
    assert not set(map(id, model.modules())) & set(map(id, other.modules()))
    ours, theirs = model.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    assert all(tensor.data_ptr() == theirs[key].data_ptr() for key, tensor in ours.items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_tied_weights_stay_tied():
    model = conv_net()
    model.head[3].bias = model.head[3].weight
    other = twin(model)
    assert other.head[3].bias is other.head[3].weight


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_nothing_is_left_on_the_modules(name):
    model = conv_net(batch_norm=True)
    before = {key: sorted(vars(module)) for key, module in model.named_modules()}
    ATTRIBUTIONS[name]()(model, conv_inputs(), TARGET)
    assert {key: sorted(vars(module)) for key, module in model.named_modules()} == before
    assert not any(
        m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules()
    )


def test_a_warning_that_is_not_captums_announcement_is_heard():
    class Warns(nn.Module):
        def forward(self, inputs) -> torch.Tensor:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return inputs.flatten(1)

    with pytest.warns(UserWarning, match="something else"):
        captum_call(
            lambda attr, model: attr.Saliency(model), Warns(), conv_inputs(), TARGET, abs=False
        )


@pytest.mark.parametrize(("batch", "points"), [(1, 256), (15, 17), (256, 1), (1000, 1)])
def test_a_forward_pass_has_a_bounded_number_of_rows(batch, points):
    assert points_per_pass(torch.empty(batch, 1, 1)) == points


@pytest.mark.parametrize("name", ["gradient_shap", "integrated_gradients", "smooth_grad"])
def test_no_forward_pass_of_many_points_exceeds_it(name):
    size = {"integrated_gradients": "n_steps"}.get(name, "n_samples")
    settings = ATTRIBUTIONS[name](**{size: 100})
    model, rows = conv_net(), []
    model.features[0].register_forward_hook(lambda *args: rows.append(len(args[-1])))
    settings(model, conv_inputs(), TARGET)
    assert len(rows) > 1
    assert max(rows) <= ROWS_PER_PASS
    assert sum(rows) == 600


def test_a_class_per_sample_costs_no_forward_pass_and_a_function_one():
    model, calls = conv_net(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    ATTRIBUTIONS["guided_backprop"]()(model, conv_inputs(), TARGET)
    assert len(calls) == 1
    ATTRIBUTIONS["guided_backprop"]()(model, conv_inputs(), lambda logits: logits.argmax(1))
    assert len(calls) == 3
