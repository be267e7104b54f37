"""Calls of Captum and the models that it supports."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import ATTRIBUTIONS
from trainables.attribution.support import (
    ROWS_PER_PASS,
    captum_call,
    points_per_pass,
    trace_calls,
    weight_sharing_copy,
)
from trainables.errors import ConfigError

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


def test_a_twin_has_other_modules_and_the_same_memory():
    model = conv_net(batch_norm=True)
    other = weight_sharing_copy(model)
    assert not set(map(id, model.modules())) & set(map(id, other.modules()))
    ours, theirs = model.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    assert all(tensor.data_ptr() == theirs[key].data_ptr() for key, tensor in ours.items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_tied_weights_stay_tied():
    model = conv_net()
    model.head[3].bias = model.head[3].weight
    other = weight_sharing_copy(model)
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


INPUTS = torch.randn(2, 3, 8)
ALWAYS = {
    "epsilon_lrp",
    "gradient_shap",
    "input_x_gradient",
    "integrated_gradients",
    "saliency",
    "smooth_grad",
}


class Odd(nn.Module):
    """Linear layers with something between them."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(24, 24), nn.Linear(24, 4)
        self.relu = nn.ReLU()
        self.between = between

    def forward(self, inputs) -> torch.Tensor:
        return self.last(self.between(self, self.relu(self.first(inputs.flatten(1)))))


def twice(model, hidden):
    return model.relu(model.first(hidden))


SEQUENCES = {
    "Conv1d": nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1)),
    "BatchNorm1d": nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(3), nn.ReLU()),
    "Flatten": nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)),
}


def refusal(name: str, model: nn.Module, inputs: torch.Tensor = INPUTS) -> str | None:
    try:
        ATTRIBUTIONS[name]().check(model, inputs)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        ("captum_lrp", SEQUENCES["Conv1d"], "Captum has no rule for module '0', a Conv1d"),
        (
            "captum_lrp",
            SEQUENCES["BatchNorm1d"],
            "Captum has no rule for module '1', a BatchNorm1d",
        ),
        ("captum_lrp", SEQUENCES["Flatten"], "Captum has no rule for module '2', a Flatten"),
        (
            "captum_lrp",
            Odd(twice),
            "module 'first', a Linear, is called 2 times, and Captum keeps one call of each",
        ),
        (
            "deep_lift",
            Odd(twice),
            "module 'relu', a ReLU, is called 2 times, and Captum keeps one call of each",
        ),
        (
            "guided_backprop",
            Odd(twice),
            "module 'relu', a ReLU, is called 2 times, and Captum keeps one call of each",
        ),
        (
            "deconvolution",
            Odd(lambda _, x: functional.relu(x)),
            "it computes 'relu' outside of a module",
        ),
        (
            "guided_backprop",
            Odd(lambda _, x: x.clamp(min=0)),
            "it computes 'clamp' outside of a module",
        ),
        (
            "deep_lift",
            Odd(lambda _, x: torch.sigmoid(x)),
            "it computes 'sigmoid' outside of a module",
        ),
        (
            "deep_lift",
            nn.Sequential(nn.Conv1d(3, 4, 3), nn.GELU(), nn.AdaptiveMaxPool1d(1)),
            "Captum has no rule for module '1', a GELU",
        ),
        (
            "deep_lift",
            nn.Sequential(nn.Conv1d(3, 4, 3), nn.AdaptiveMaxPool1d(1)),
            "Captum has no rule for module '1', an AdaptiveMaxPool1d",
        ),
        (
            "captum_lrp",
            Odd(lambda model, x: functional.linear(x, model.first.weight)),
            "it computes 'mm' outside of a module",
        ),
    ],
)
def test_the_refusal_names_the_module_and_what_to_use_instead(name, model, reason):
    found, _, instead = refusal(name, model).partition("; use ")
    assert found == f"attribution {name} cannot explain this model: {reason}"
    assert instead.endswith("input_x_gradient or integrated_gradients.")


@pytest.mark.parametrize("name", sorted(ALWAYS))
@pytest.mark.parametrize("model", [*SEQUENCES.values(), Odd(twice)], ids=[*SEQUENCES, "twice"])
def test_what_asks_only_for_gradients_accepts_every_model(name, model):
    assert refusal(name, model) is None


@pytest.mark.parametrize("name", ["deep_lift", "guided_backprop", "deconvolution"])
@pytest.mark.parametrize("kind", sorted(SEQUENCES))
def test_layers_of_one_dimension_are_accepted_where_captum_knows_them(name, kind):
    assert refusal(name, SEQUENCES[kind]) is None


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_checking_leaves_the_model_and_the_global_generator_alone(name):
    model = conv_net(batch_norm=True).train()
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    ATTRIBUTIONS[name]().check(model, conv_inputs())
    # The inputs themselves were drawn from it.
    torch.set_rng_state(drawn)
    inputs = conv_inputs()
    drawn = torch.get_rng_state()
    ATTRIBUTIONS[name]().check(model, inputs)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_forward_pass_is_watched_by_layer_and_by_loose_operation():
    calls = trace_calls(Odd(lambda _, x: functional.relu(x) + 1), INPUTS)
    assert sorted(calls.layers) == ["first", "last", "relu"]
    assert dict(calls.counts) == {"first": 1, "relu": 1, "last": 1}
    assert {"relu", "add"} <= set(calls.functional_ops)
    assert not {"addmm", "mm"} & set(calls.functional_ops)


@pytest.mark.parametrize("name", ["captum_lrp", "deep_lift"])
def test_captum_itself_raises_on_what_is_refused(name):
    """If a later Captum accepts a module that is called twice, the refusal may go."""
    with pytest.raises(RuntimeError, match="used more than once"):
        ATTRIBUTIONS[name]()(Odd(twice), INPUTS, torch.tensor([0, 1]))


def test_captum_itself_knows_no_rule_for_what_is_refused():
    for kind, model in SEQUENCES.items():
        with pytest.raises(TypeError, match=kind):
            ATTRIBUTIONS["captum_lrp"]()(model, INPUTS, torch.tensor([0, 1]))


def test_captum_itself_is_silently_wrong_about_a_relu_that_is_no_module():
    """The reason for the check: plain gradients under another name."""
    functional_ops = Odd(lambda _, x: functional.relu(x - 0.3))
    module = Odd(lambda model, x: model.act(x - 0.3))
    module.act = nn.ReLU()
    module.load_state_dict(functional_ops.state_dict())
    target = torch.tensor([0, 1])
    for name in ("deconvolution", "deep_lift"):
        right, wrong = (ATTRIBUTIONS[name]()(m, INPUTS, target) for m in (module, functional_ops))
        assert (right - wrong).norm() > 1e-3 * right.norm()
