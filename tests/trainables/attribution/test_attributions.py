"""What holds for every attribution, on small networks and on every model."""

from __future__ import annotations

import copy
from typing import NoReturn

import pytest
import torch

from tests.trainables.builders import conv_inputs, conv_net
from trainables.attribution import ATTRIBUTIONS
from trainables.datasets import DATASETS
from trainables.errors import ConfigError
from trainables.models import MODELS, ModuleModel, TorchvisionModel

TARGET = torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.fixture(params=sorted(ATTRIBUTIONS))
def attribution(request):
    return ATTRIBUTIONS[request.param]()


@pytest.fixture
def model():
    """Build a network whose modules are in different modes."""
    network = conv_net(batch_norm=True).train()
    network.features[1].eval()
    return network


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


def test_the_names_are_those_of_the_settings():
    assert {name: kind.name for name, kind in ATTRIBUTIONS.items()} == {
        name: name for name in ATTRIBUTIONS
    }


def test_it_gives_detached_relevances_like_the_inputs(attribution, model):
    inputs = conv_inputs()
    relevance = attribution(model, inputs, TARGET)
    assert relevance.shape == inputs.shape
    assert relevance.dtype == inputs.dtype
    assert not relevance.requires_grad
    assert relevance.isfinite().all()
    assert relevance.abs().sum() > 0


def test_model_and_inputs_are_left_as_they_were(attribution, model):
    inputs = conv_inputs()
    before, given, mode = copy.deepcopy(model.state_dict()), inputs.clone(), modes(model)
    model.head[0].weight.grad = torch.ones_like(model.head[0].weight)

    attribution(model, inputs, TARGET)

    assert modes(model) == mode
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(inputs, given)
    assert not inputs.requires_grad
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert list(gradients) == ["head.0.weight"]
    assert (gradients["head.0.weight"] == 1).all()


def test_the_model_is_left_as_it_was_when_it_raises(attribution, model):
    before, mode = copy.deepcopy(model.state_dict()), modes(model)

    def refuse(_logits) -> NoReturn:
        raise KeyError("no class today")

    with pytest.raises(KeyError, match="no class today"):
        attribution(model, conv_inputs(), refuse)
    with pytest.raises(RuntimeError):
        attribution(model, conv_inputs()[:, :1], TARGET)

    assert modes(model) == mode
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_it_runs_in_eval_mode(attribution, model):
    seen = []
    model.head[2].register_forward_hook(lambda module, *_: seen.append(module.training))
    first = attribution(model, conv_inputs(), TARGET)
    assert seen
    assert not any(seen)
    assert torch.isfinite(first).all()


def test_a_function_chooses_the_class_from_the_logits_that_are_explained(attribution, model):
    inputs, seen = conv_inputs(), []

    def second(logits) -> torch.Tensor:
        seen.append(logits)
        return logits.topk(2).indices[:, 1]

    found = attribution(model, inputs, second)

    (logits,) = seen
    assert not logits.requires_grad
    chosen = logits.topk(2).indices[:, 1]
    assert torch.equal(found, attribution(model, inputs, chosen))
    assert not torch.equal(found, attribution(model, inputs, logits.argmax(1)))
    model.eval()
    torch.testing.assert_close(logits, model(inputs).detach())


def test_it_works_where_gradients_are_off(attribution, model):
    inputs = conv_inputs()
    expected = attribution(model, inputs, TARGET)
    with torch.no_grad():
        assert torch.equal(attribution(model, inputs, TARGET), expected)


def test_inputs_that_already_ask_for_gradients_get_none(attribution, model):
    inputs = conv_inputs().requires_grad_()
    relevance = attribution(model, inputs, TARGET)
    assert inputs.grad is None
    assert not relevance.requires_grad


DATASET = {
    "vgg11": "digits",
    "vgg16": "cifar10",
    "text_cnn": "reuters",
    "fcn_wang": "ptbxl",
    "mlp": "ptbxl",
    "module": "digits",
    "torchvision": "cifar10",
}
OTHERS = {
    "module": ModuleModel(factory="tests.trainables.models.small_modules:build"),
    "torchvision": TorchvisionModel(architecture="resnet18"),
}
REFUSED = {
    ("text_cnn", "captum_lrp"): "Captum has no rule for module 'features.0', a Conv1d",
    ("fcn_wang", "captum_lrp"): "Captum has no rule for module 'features.0', a Conv1d",
    ("fcn_wang", "deep_lift"): "Captum has no rule for module 'max_pool', an AdaptiveMaxPool1d",
    ("module", "captum_lrp"): "Captum has no rule for module '0', a Flatten",
    **{
        ("torchvision", name): (
            "module 'layer1.0.relu', a ReLU, is called 2 times, and Captum keeps one call of each"
        )
        for name in ("captum_lrp", "deconvolution", "deep_lift", "guided_backprop")
    },
}


def test_every_model_is_here():
    assert sorted(DATASET) == sorted(MODELS)


@pytest.mark.parametrize("attribution", sorted(ATTRIBUTIONS))
@pytest.mark.parametrize("model", sorted(DATASET))
def test_it_explains_the_model_or_says_why_it_cannot(model, attribution):
    info = DATASETS[DATASET[model]]().info
    settings = OTHERS.get(model) or MODELS[model](width=1 / 16)
    network = settings.build(info, torch.Generator().manual_seed(0))
    explain = ATTRIBUTIONS[attribution]()
    reason = REFUSED.get((model, attribution))
    if reason is not None:
        with pytest.raises(ConfigError) as caught:
            explain.check(network, torch.zeros(1, *info.input_shape))
        assert str(caught.value) == (
            f"attribution {attribution} cannot explain this model: {reason}; use epsilon_lrp, "
            "attn_lrp, input_x_gradient or integrated_gradients."
        )
        return
    explain.check(network, torch.zeros(1, *info.input_shape))
    inputs = torch.randn(2, *info.input_shape)
    relevance = explain(network, inputs, torch.tensor([0, 1]))
    assert relevance.shape == inputs.shape
    assert relevance.isfinite().all()
    assert relevance.abs().sum() > 0
