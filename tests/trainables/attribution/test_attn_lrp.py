"""AttnLRP against its layer-by-layer twin, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ConvNeXt, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.swin_transformer import SwinTransformer

from tests.oracles import attn_lrp as oracle
from tests.trainables.builders import conv_inputs, conv_net, message
from tests.trainables.models.small_modules import TextTransformer
from trainables.attribution import AttnLrp, attn_lrp, epsilon_lrp, input_x_gradient
from trainables.attribution.relevance_rules import ACTIVATIONS as RULES
from trainables.attribution.relevance_rules import AttentionShares
from trainables.datasets import DatasetInfo
from trainables.errors import ConfigError

TARGET = torch.tensor([0, 2])


def unsettled(network: nn.Module) -> nn.Module:
    """Make every weight, bias, class token and layer scale of a network count."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network.double().eval()


def vision() -> VisionTransformer:
    return VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12,
        num_classes=3,
    )  # fmt: skip


def text() -> TextTransformer:
    info = DatasetInfo(n_classes=3, input_shape=(6, 5), domain="text")
    return TextTransformer(info, width=8, layers=2, heads=2)


class Gated(nn.Module):
    """A gated unit between layer norms, as in newer transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(4, 3)
        self.up, self.gate = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.norm(inputs.transpose(1, 2))
        return self.head((self.up(x) * functional.silu(self.gate(x))).mean(1))


def values(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def linear(layer: nn.Linear, epsilon: float) -> oracle.Linear:
    return oracle.Linear(values(layer.weight), values(layer.bias), epsilon)


def norm(layer: nn.LayerNorm, epsilon: float) -> oracle.LayerNorm:
    return oracle.LayerNorm(values(layer.weight), values(layer.bias), layer.eps, epsilon)


def attention(layer: nn.MultiheadAttention, is_constant: bool) -> oracle.Attention:
    weights, biases = values(layer.in_proj_weight), values(layer.in_proj_bias)
    parts = [
        oracle.Linear(w, b) for w, b in zip(np.split(weights, 3), np.split(biases, 3), strict=True)
    ]
    return oracle.Attention(*parts, linear(layer.out_proj, 0.0), layer.num_heads, is_constant)


def vision_twin(net: VisionTransformer, epsilon: float, is_constant: bool) -> list[oracle.Layer]:
    conv = net.conv_proj
    patches = oracle.Linear(values(conv.weight.flatten(1)), values(conv.bias), epsilon)
    positions = oracle.Constant(values(net.encoder.pos_embedding[0]))
    blocks: list[oracle.Layer] = [positions]
    for block in net.encoder.layers:
        first, second = block.mlp[0], block.mlp[3]
        attended = [norm(block.ln_1, epsilon), attention(block.self_attention, is_constant)]
        unit = [linear(first, epsilon), oracle.Activation(oracle.gelu), linear(second, epsilon)]
        blocks += [oracle.Residual(attended)]
        blocks += [oracle.Residual([norm(block.ln_2, epsilon), *unit])]
    blocks.append(norm(net.encoder.ln, epsilon))
    token = oracle.FirstToken(values(net.class_token[0]), blocks)
    return [patches, token, linear(net.heads.head, epsilon)]


def text_twin(net: TextTransformer, epsilon: float, is_constant: bool) -> list[oracle.Layer]:
    layers: list[oracle.Layer] = [linear(net.embed, epsilon)]
    for block in net.encoder.layers:
        unit = [
            linear(block.linear1, epsilon),
            oracle.Activation(oracle.gelu),
            linear(block.linear2, epsilon),
        ]
        layers += [oracle.Residual([attention(block.self_attn, is_constant)])]
        layers += [norm(block.norm1, epsilon), oracle.Residual(unit), norm(block.norm2, epsilon)]
    return [*layers, oracle.Mean(), linear(net.head, epsilon)]


def gated_twin(net: Gated, epsilon: float, _is_constant: bool) -> list[oracle.Layer]:
    unit = oracle.Gated(linear(net.up, epsilon), linear(net.gate, epsilon))
    return [norm(net.norm, epsilon), unit, oracle.Mean(), linear(net.head, epsilon)]


def patches_of(images: Tensor) -> Tensor:
    """Cut images into patches of values in a convolution's order: (batch, patch, value)."""
    return functional.unfold(images, 4, stride=4).transpose(1, 2)


def words_of(texts: Tensor) -> Tensor:
    return texts.transpose(1, 2)


Twin = Callable[[nn.Module, float, bool], Sequence[oracle.Layer]]
CASES: dict[str, tuple[Callable[[], nn.Module], Twin, tuple[int, ...], Callable]] = {
    "vision transformer": (vision, vision_twin, (3, 8, 8), patches_of),
    "text transformer": (text, text_twin, (6, 5), words_of),
    "gated unit": (Gated, gated_twin, (6, 5), words_of),
}


@pytest.mark.parametrize("shares", ["uniform", "constant"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 1e-2])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_layer_by_layer_twin(case, epsilon, shares: AttentionShares):
    build, twin_of, shape, rows_of = CASES[case]
    net = unsettled(build())
    inputs = torch.randn(2, *shape, dtype=torch.float64)
    found = attn_lrp(net, inputs, TARGET, epsilon=epsilon, shares=shares)
    single = attn_lrp(
        copy.deepcopy(net).float(), inputs.float(), TARGET, epsilon=epsilon, shares=shares
    )
    twin = twin_of(net, epsilon, shares == "constant")
    for sample, target in enumerate(TARGET.tolist()):
        rows = values(rows_of(inputs[sample : sample + 1])[0])
        expected = oracle.explained(twin, rows, target)
        largest = np.abs(expected).max()
        own = slice(sample, sample + 1)
        assert np.abs(values(rows_of(found[own])[0]) - expected).max() < 1e-12 * largest
        assert np.abs(values(rows_of(single[own])[0]) - expected).max() < 1e-5 * largest
        logit = float(net(inputs[own])[0, target].detach())
        assert oracle.run(twin, rows)[0, target] == pytest.approx(logit, rel=1e-12)


def test_the_shares_of_attention_can_be_seen():
    net, inputs = unsettled(vision()), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    uniform = attn_lrp(net, inputs, TARGET)
    for other in (
        attn_lrp(net, inputs, TARGET, shares="constant"),
        input_x_gradient(net, inputs, TARGET),
    ):
        assert (other - uniform).abs().max() > 0.05 * uniform.abs().max()


class Explicit(nn.Module):
    """Attention, LayerNorm and GELU written out as functions."""

    def __init__(self, net: TextTransformer) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.net.embed(inputs.transpose(1, 2))
        for block in self.net.encoder.layers:
            x = block.norm1(x + self.attend(block.self_attn, x))
            hidden = torch.nn.functional.gelu(x @ block.linear1.weight.T + block.linear1.bias)
            x = functional.layer_norm(
                x + (hidden @ block.linear2.weight.T + block.linear2.bias),
                block.norm2.normalized_shape, block.norm2.weight, block.norm2.bias,
            )  # fmt: skip
        return self.net.head(x.mean(1))

    def attend(self, layer: nn.MultiheadAttention, x: Tensor) -> Tensor:
        projected = functional.linear(x, layer.in_proj_weight, layer.in_proj_bias)
        q, k, v = (
            part.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
            for part in projected.chunk(3, -1)
        )
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
        heads = torch.matmul(scores.softmax(-1), v).transpose(1, 2).flatten(2)
        return layer.out_proj(heads)


@pytest.mark.parametrize("shares", ["uniform", "constant"])
def test_functional_code_has_the_same_rules(shares: AttentionShares):
    net, inputs = unsettled(text()), torch.randn(2, 6, 5, dtype=torch.float64)
    expected = attn_lrp(net, inputs, TARGET, shares=shares)
    torch.testing.assert_close(attn_lrp(Explicit(net), inputs, TARGET, shares=shares), expected)


def without_biases(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias") or "token" in name or "pos_embedding" in name:
                parameter.zero_()
    return net


def convnext() -> ConvNeXt:
    return ConvNeXt([CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)], num_classes=3)


def mixed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Mish(), nn.Conv2d(8, 8, 3), nn.ReLU6(),
        nn.Flatten(), nn.Linear(128, 12), nn.GLU(), nn.RMSNorm(6), nn.Tanh(), nn.Linear(6, 3),
    )  # fmt: skip


@pytest.mark.parametrize(("net", "side"), [(vision, 8), (convnext, 16), (mixed, 8)])
def test_without_biases_relevance_is_conserved_if_weights_of_attention_are_constant(net, side):
    built = without_biases(unsettled(net()))
    inputs = torch.randn(2, 3, side, side, dtype=torch.float64)
    relevance = attn_lrp(built, inputs, TARGET, shares="constant")
    logits = built(inputs).gather(1, TARGET[:, None]).squeeze(1)
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_on_a_network_of_relus_it_is_epsilon_lrp(batch_norm, epsilon):
    net, inputs = conv_net(batch_norm=batch_norm), conv_inputs(2)
    if batch_norm:  # a layer of its own here, and part of the convolution there
        net.features = nn.Sequential(*net.features[:1], nn.Identity(), *net.features[1:])
    found = attn_lrp(net, inputs, TARGET, epsilon=epsilon)
    torch.testing.assert_close(found, epsilon_lrp(net, inputs, TARGET, epsilon=epsilon))


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_a_network_may_overwrite_its_values(epsilon):
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
            self.inplace = True

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x)
            if self.inplace:
                hidden += x
                return self.last(functional.silu(functional.relu_(hidden), inplace=True))
            return self.last(functional.silu(functional.relu(hidden + x)))

    net, inputs = unsettled(Overwriting()), torch.randn(2, 6, dtype=torch.float64)
    found = attn_lrp(net, inputs, TARGET, epsilon=epsilon)
    net.inplace = False
    torch.testing.assert_close(found, attn_lrp(net, inputs, TARGET, epsilon=epsilon))


def test_the_network_is_left_as_it_was():
    net, inputs = text().train(), torch.randn(2, 6, 5)
    before = {name: (p.requires_grad, p.clone()) for name, p in net.named_parameters()}
    logits = net(inputs)
    attn_lrp(net, inputs, TARGET)
    logits.sum().backward()
    assert net.training
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad == before[name][0]
        assert torch.equal(parameter, before[name][1])
        assert parameter.grad is not None


def test_attention_within_shifted_windows_runs_and_is_finite():
    net = SwinTransformer([2, 2], 8, [2], [2], [2, 2], num_classes=3, stochastic_depth_prob=0.0)
    inputs = torch.randn(2, 3, 16, 16)
    AttnLrp().check(net, inputs)
    relevance = attn_lrp(unsettled(net).float(), inputs, TARGET)
    assert relevance.isfinite().all()
    assert relevance.abs().sum() > 0


def test_a_negative_epsilon_is_refused():
    found = message(
        ConfigError, lambda: attn_lrp(text(), torch.zeros(2, 6, 5), TARGET, epsilon=-1.0)
    )
    assert found == "epsilon must be 0 or more, got -1.0."


ACTIVATIONS = [
    nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Hardswish(), nn.Mish(), nn.Tanh(),
    nn.ReLU6(), nn.Hardtanh(-0.5, 2.0), nn.ELU(0.7), nn.CELU(0.7), nn.SELU(), nn.Softsign(),
]  # fmt: skip


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_an_activation_hands_relevance_on_unchanged(activation, inplace):
    activation = copy.deepcopy(activation)
    if hasattr(activation, "inplace"):
        activation.inplace = inplace
    values = torch.tensor([[-9.0, -1.5, -0.3, -1e-9, 1e-9, 0.4, 1.7, 3.0, 9.0]]).double()
    net = nn.Sequential(nn.Identity(), nn.Linear(9, 9), activation, nn.Linear(9, 2)).double()
    net[1].weight.data, net[1].bias.data = torch.eye(9).double(), torch.zeros(9).double()
    found = attn_lrp(net, values, torch.tensor([1]))
    expected = activation(values.clone()) * net[3].weight[1]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_the_ratio_of_an_activation_at_0_is_its_slope_above(activation):
    rule = RULES[type(activation).__name__.lower()]
    options = {key: getattr(activation, key) for key in rule.options if hasattr(activation, key)}
    above = torch.full((1,), 1e-12, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation(above), above)
    ratio = rule.ratio(torch.zeros(1, dtype=torch.float64), **options)
    torch.testing.assert_close(ratio, slope, rtol=1e-6, atol=1e-9)
