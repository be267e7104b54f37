"""ε-LRP of networks that overwrite the outputs of their layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from trainables.attribution import epsilon_lrp
from trainables.attribution.epsilon_rule import EpsilonMode

TARGET = torch.tensor([0, 1, 2, 0])
Between = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Two convolutions, batch norm and ReLU modules; what happens between them is given."""

    def __init__(self, between: Between, *, inplace: bool = False) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.relu, self.last = nn.ReLU(inplace=inplace), nn.Linear(3 * 36, 3)
        self.between = between

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.between(self, inputs).flatten(1))


def functional_relu(net: Net, x: Tensor) -> Tensor:
    return functional.relu(net.norm(net.first(x)), inplace=True)


def relu_method(net: Net, x: Tensor) -> Tensor:
    return net.first(x).relu_()


def clamp_without_gradient(net: Net, x: Tensor) -> Tensor:
    hidden = net.first(x)
    with torch.no_grad():
        hidden.clamp_(min=-0.1)
    return hidden


def residual_sum(net: Net, x: Tensor) -> Tensor:
    identity = net.relu(net.first(x))
    out = net.second(identity)
    out += identity
    return net.relu(out)


def shifted_relu(net: Net, x: Tensor) -> Tensor:
    hidden = net.relu(net.first(x))
    hidden += 1
    return net.second(hidden)


def scaled_output(net: Net, x: Tensor) -> Tensor:
    return net.second(net.first(x).mul_(2))


def assigned_slice(net: Net, x: Tensor) -> Tensor:
    hidden = net.relu(net.first(x))
    hidden[:, 0] = hidden[:, 1] * 2
    return hidden


# The same, writing to nothing.
TWINS: dict[Between, Between] = {
    functional_relu: lambda net, x: functional.relu(net.norm(net.first(x))),
    relu_method: lambda net, x: net.first(x).relu(),
    clamp_without_gradient: lambda net, x: (
        net.first(x) + (net.first(x).clamp(min=-0.1) - net.first(x)).detach()
    ),
    residual_sum: lambda net, x: net.relu(
        net.second(net.relu(net.first(x))) + net.relu(net.first(x))
    ),
    shifted_relu: lambda net, x: net.second(net.relu(net.first(x)) + 1),
    scaled_output: lambda net, x: net.second(2 * net.first(x)),
    assigned_slice: lambda net, x: torch.stack(
        [2 * net.relu(net.first(x))[:, 1], *net.relu(net.first(x)).unbind(1)[1:]], 1
    ),
}


def pair_of(between: Between, *, inplace: bool) -> tuple[Net, Net]:
    net, twin = Net(between, inplace=inplace).double(), Net(TWINS[between]).double()
    net.norm.running_mean.uniform_(-1, 1)
    twin.load_state_dict(net.state_dict())
    return net, twin


def inputs_of(count: int = 4) -> Tensor:
    return torch.randn(count, 2, 6, 6, dtype=torch.float64)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("between", TWINS, ids=lambda between: between.__name__)
def test_overwriting_changes_no_relevance(between: Between, mode: EpsilonMode, inplace: bool):
    net, twin = pair_of(between, inplace=inplace)
    inputs = inputs_of()
    expected = epsilon_lrp(twin, inputs, TARGET, epsilon=0.1, epsilon_mode=mode)
    found = epsilon_lrp(net, inputs, TARGET, epsilon=0.1, epsilon_mode=mode)
    torch.testing.assert_close(found, expected)
    assert expected.abs().sum() > 0
    assert not any(module._forward_hooks for module in net.modules())


def test_networks_stacked_by_vmap_may_overwrite_too():
    pairs = [pair_of(functional_relu, inplace=False) for _ in range(2)]
    inputs = [inputs_of() for _ in pairs]
    expected = [
        epsilon_lrp(twin, x, TARGET, epsilon=0.1)
        for (_, twin), x in zip(pairs, inputs, strict=True)
    ]
    nets = [net for net, _ in pairs]
    parameters, buffers = stack_module_state(nets)

    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nets[0]

        def forward(self, x: Tensor) -> Tensor:
            def one(parameters: dict, buffers: dict, x: Tensor) -> Tensor:
                return functional_call(self.layers, {**parameters, **buffers}, (x,))

            return vmap(one)(parameters, buffers, x.unflatten(0, (2, -1))).flatten(0, 1)

    found = epsilon_lrp(Stacked(), torch.cat(inputs), TARGET.repeat(2), epsilon=0.1)
    torch.testing.assert_close(found, torch.cat(expected))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_networks_that_overwrite_conserve_relevance(name: str):
    from torchvision import models

    # 75 pixels are the least that inception_v3 takes.
    net = getattr(models, name)(weights=None, num_classes=3, init_weights=False).double().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.Linear):
            module.bias.data.zero_()
    inputs, target = torch.randn(1, 3, 75, 75, dtype=torch.float64), torch.tensor([1])
    relevance = epsilon_lrp(net, inputs, target, epsilon=1e-6)
    logit = net(inputs)[0, 1].item()
    assert relevance.sum().item() == pytest.approx(logit, rel=1e-4)


def test_an_error_of_the_network_itself_is_raised_once():
    calls = []

    def fails(_net: Net, x: Tensor) -> Tensor:
        calls.append(x)
        raise RuntimeError("no such layer")

    with pytest.raises(RuntimeError, match="no such layer"):
        epsilon_lrp(Net(fails).double(), inputs_of(), TARGET)
    assert len(calls) == 1
