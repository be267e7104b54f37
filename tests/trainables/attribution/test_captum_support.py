"""What Captum cannot explain is refused with the module and what to use instead."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import ATTRIBUTIONS
from trainables.attribution.captum_support import watch
from trainables.errors import ConfigError

INPUTS = torch.randn(2, 3, 8)
INSTEAD = "use epsilon_lrp, input_x_gradient or integrated_gradients."
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
    said = f"attribution {name} cannot explain this model: {reason}; {INSTEAD}"
    assert refusal(name, model) == said


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
    calls = watch(Odd(lambda _, x: functional.relu(x) + 1), INPUTS)
    assert sorted(calls.layers) == ["first", "last", "relu"]
    assert dict(calls.counts) == {"first": 1, "relu": 1, "last": 1}
    assert {"relu", "add"} <= set(calls.loose)
    assert not {"addmm", "mm"} & set(calls.loose)


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
    loose = Odd(lambda _, x: functional.relu(x - 0.3))
    module = Odd(lambda model, x: model.act(x - 0.3))
    module.act = nn.ReLU()
    module.load_state_dict(loose.state_dict())
    target = torch.tensor([0, 1])
    for name in ("deconvolution", "deep_lift"):
        right, wrong = (ATTRIBUTIONS[name]()(m, INPUTS, target) for m in (module, loose))
        assert (right - wrong).norm() > 1e-3 * right.norm()
