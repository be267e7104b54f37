"""Which networks ε-LRP and AttnLRP explain, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.trainables.builders import conv_inputs, conv_net, message
from tests.trainables.models.small_modules import TextTransformer
from trainables.attribution import ATTRIBUTIONS, AttnLrp, EpsilonLrp
from trainables.attribution.network_check import (
    epsilon_obstacle,
    gradient_change,
    rule_obstacle,
    survey_of,
)
from trainables.datasets import DatasetInfo
from trainables.errors import ConfigError

INPUTS = torch.zeros(1, 12)
TEXTS = DatasetInfo(n_classes=3, input_shape=(6, 5), domain="text")


class Between(nn.Module):
    """Two linear layers with a function between them."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.function = nn.Linear(12, 8), nn.LazyLinear(3), function
        self(torch.zeros(2, 12))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.function(self.first(inputs)))


class Recurrent(nn.Module):
    """The last output of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.cells(inputs.unflatten(1, (4, 3)))[0][:, -1])


class SignedSquare(torch.autograd.Function):
    """x·|x| with a gradient of its own, which no function of torch shows."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.abs()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return 2 * gradient * ctx.saved_tensors[0].abs()


class Doubled(torch.autograd.Function):
    """2·x with a gradient of its own."""

    @staticmethod
    def forward(_ctx, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(_ctx, gradient: Tensor) -> Tensor:
        return 2 * gradient


HERE = "the network itself, a Between, "
# Of a function between linear layers: why ε-LRP, and why AttnLRP does not explain the network.
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], str | None, str | None]] = {
    "relu": (functional.relu, None, None),
    "leaky_relu": (functional.leaky_relu, None, None),
    "abs": (torch.abs, None, None),
    "clamp at 0": (lambda h: h.clamp(min=0), None, None),
    "where": (lambda h: torch.where(h > 0, h, 0.1 * h), None, None),
    "maximum": (lambda h: torch.maximum(h, -h), None, None),
    "max pool": (lambda h: functional.max_pool1d(h[:, None], 2)[:, 0], None, None),
    "residual": (lambda h: h + functional.relu(h), None, None),
    "own gradient, linear": (
        Doubled.apply,
        None,
        "its torch.autograd.Function 'Doubled' has no rule",
    ),
    "own gradient": (
        SignedSquare.apply,
        "perhaps by SignedSquare",
        "its torch.autograd.Function 'SignedSquare' has no rule",
    ),
    "atan": (torch.atan, "perhaps by Atan, atan", f"{HERE}computes 'atan', which has no rule"),
    "gelu": (functional.gelu, f"{HERE}computes 'gelu', which has no ε rule", None),
    "silu": (functional.silu, f"{HERE}computes 'silu', which has no ε rule", None),
    "tanh": (torch.tanh, f"{HERE}computes 'tanh', which has no ε rule", None),
    "relu6": (functional.relu6, f"{HERE}computes 'relu6', which has no ε rule", None),
    "softmax": (lambda h: h.softmax(1), f"{HERE}computes 'softmax', which has no ε rule", None),
    "square": (
        lambda h: h * h,
        f"{HERE}multiplies or divides two values that depend on the inputs, by 'mul'",
        None,
    ),
    "quotient": (
        lambda h: h / (1 + h.abs()),
        f"{HERE}multiplies or divides two values that depend on the inputs, by 'div'",
        f"{HERE}multiplies or divides two values that depend on the inputs, by 'div', which "
        "has no rule",
    ),
    "cut": (
        lambda h: h.clamp(0, 1),
        f"{HERE}cuts off large values, by 'clamp'",
        f"{HERE}cuts off large values, by 'clamp', which has no rule",
    ),
    "softplus": (
        functional.softplus,
        f"{HERE}computes 'softplus', which has no ε rule",
        f"{HERE}computes 'softplus', which has no rule",
    ),
    "gate": (
        lambda h: h * h.sigmoid()[:, :8],
        f"{HERE}computes 'sigmoid', which has no ε rule",
        None,
    ),
    "sigmoid": (
        torch.sigmoid,
        f"{HERE}computes 'sigmoid', which has no ε rule",
        f"{HERE}uses 'sigmoid' as an activation and not as a gate, which has no rule",
    ),
    "glu": (functional.glu, f"{HERE}computes 'glu', which has no ε rule", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_network_computes_decides_what_explains_it(name):
    function, epsilon, rules = FUNCTIONS[name]
    net = Between(function)
    found = epsilon_obstacle(net, INPUTS)
    assert found == epsilon or (epsilon and found.startswith("it is not p") and epsilon in found)
    assert rule_obstacle(net, INPUTS) == rules
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert net.training


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_scripted_code_hides_nothing():
    def curve(x: Tensor) -> Tensor:
        return torch.tanh(x)

    for _ in range(3):  # a script is optimized from its second run on
        net = Between(torch.jit.script(curve))
        assert "is not piecewise linear" in epsilon_obstacle(net, INPUTS)
        assert "where no function shows it" in rule_obstacle(net, INPUTS)


@pytest.mark.parametrize(
    ("net", "inputs", "epsilon", "rules"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.GELU(), nn.Linear(8, 3)),
            INPUTS,
            "module '2', a GELU, computes 'gelu', which has no ε rule; use attn_lrp, "
            "input_x_gradient or integrated_gradients.",
            None,
        ),
        (
            Recurrent(),
            INPUTS,
            "module 'cells', a LSTM, computes 'lstm', which has no ε rule; use input_x_gradient "
            "or integrated_gradients.",
            "module 'cells', a LSTM, computes 'lstm', which has no rule; use input_x_gradient or "
            "integrated_gradients.",
        ),
        (
            TextTransformer(TEXTS),
            torch.zeros(1, 6, 5),
            "module 'encoder.layers.0.self_attn', a MultiheadAttention, computes "
            "'multi_head_attention_forward', which has no ε rule; use attn_lrp, input_x_gradient "
            "or integrated_gradients.",
            None,
        ),
        (conv_net(batch_norm=True).float(), conv_inputs(1).float(), None, None),
    ],
    ids=["gelu", "lstm", "transformer", "convolutions"],
)
def test_a_refusal_names_the_layer_and_what_works(net, inputs, epsilon, rules):
    for attribution, reason in ((EpsilonLrp(), epsilon), (AttnLrp(), rules)):
        if reason is None:
            attribution.check(net, inputs)
            continue
        found = message(ConfigError, lambda a=attribution: a.check(net, inputs))
        assert found == f"attribution {attribution.name} cannot explain this model: {reason}"
        for name in found.partition("; use ")[2].rstrip(".").replace(" or ", ", ").split(", "):
            ATTRIBUTIONS[name]().check(net, inputs)


@pytest.mark.parametrize(
    ("activation", "is_linear"),
    [(nn.ReLU(), True), (nn.LeakyReLU(), True), (nn.GELU(), False), (nn.Tanh(), False),
     (nn.Softplus(), False), (nn.ELU(), False)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_gradient_of_a_piecewise_linear_network_alone_does_not_change(activation, is_linear):
    net = nn.Sequential(nn.Linear(12, 64), activation, nn.Linear(64, 64), activation)
    head = nn.Linear(64, 3)
    nn.init.zeros_(head.weight)  # hides nothing
    changes = [gradient_change(nn.Sequential(net, head), torch.zeros(1, 12))]
    assert all(change == 0 for change in changes) if is_linear else min(changes) > 1e-10
    assert not head.weight.any()


@pytest.mark.extended
@pytest.mark.parametrize(
    ("architecture", "works"),
    [
        ("resnet18", ("epsilon_lrp", "attn_lrp")), ("densenet121", ("epsilon_lrp", "attn_lrp")),
        ("googlenet", ("epsilon_lrp", "attn_lrp")), ("mnasnet0_5", ("epsilon_lrp", "attn_lrp")),
        ("mobilenet_v2", ("attn_lrp",)), ("convnext_tiny", ("attn_lrp",)),
        ("efficientnet_b0", ("attn_lrp",)), ("regnet_y_400mf", ("attn_lrp",)),
        ("vit_b_32", ("attn_lrp",)), ("swin_t", ("attn_lrp",)), ("swin_v2_t", ()),
    ],
)  # fmt: skip
def test_families_of_torchvision(architecture, works):
    from torchvision import models

    size = {"image_size": 64} if architecture.startswith("vit") else {}
    options = {"init_weights": False, "aux_logits": False} if architecture == "googlenet" else {}
    net = models.get_model(architecture, weights=None, num_classes=3, **size, **options)
    inputs = torch.zeros(1, 3, 64, 64)
    assert (epsilon_obstacle(net, inputs) is None) == ("epsilon_lrp" in works)
    assert (rule_obstacle(net, inputs) is None) == ("attn_lrp" in works)
    assert survey_of(net, inputs).operations
