"""A small network for 2 × 6 × 6 inputs, its slow twin, and how passes through it are counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.oracles import challenger as oracle
from trainables.replica_rng import ReplicaRNG

N_CLASSES = 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seeded(seed: int = 0) -> ReplicaRNG:
    return ReplicaRNG.of(generator(seed))


def network() -> nn.Sequential:
    """Build a convolution, a max pool and two linear layers whose units are seldom silent."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 6),
        nn.ReLU(),
        nn.Linear(6, N_CLASSES),
    )
    model[0].bias.data += 2
    model[4].bias.data += 1
    return model.double()


def twin(model: nn.Sequential) -> list[oracle.Layer]:
    conv, first, second = model[0], model[4], model[6]
    return [
        oracle.convolution(conv.weight.flatten().tolist(), conv.bias.tolist(), (2, 6, 6), 3),
        oracle.Relu(),
        oracle.max_pool((3, 4, 4), 2),
        oracle.dense(first.weight.tolist(), first.bias.tolist()),
        oracle.Relu(),
        oracle.dense(second.weight.tolist(), second.bias.tolist()),
    ]


def batch(count: int = 11) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(count, 2, 6, 6, dtype=torch.float64)
    return inputs, torch.randint(N_CLASSES, (count,))


def multi_labels(count: int = 11) -> Tensor:
    return torch.randint(2, (count, N_CLASSES)).double()


@dataclass(kw_only=True)
class Passes:
    """Rows of each forward pass, and whether each backward pass was asked for inputs alone."""

    forward: list[int] = field(default_factory=list)
    backward: list[bool] = field(default_factory=list)


def counted(model: nn.Module, monkeypatch) -> Passes:
    """Count the passes through a model from now on."""
    passes = Passes()
    model.register_forward_hook(lambda _m, _i, output: passes.forward.append(len(output)))
    parameters = {id(parameter) for parameter in model.parameters()}
    grad = torch.autograd.grad

    def counting(outputs: Tensor, inputs: Tensor, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
        leaves = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        passes.backward.append(all(id(leaf) not in parameters for leaf in leaves))
        return grad(outputs, inputs, *rest, **options)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    backward = Tensor.backward

    def recording(tensor: Tensor, *rest: Any, **options: Any) -> None:  # noqa: ANN401
        passes.backward.append(False)
        backward(tensor, *rest, **options)

    monkeypatch.setattr(Tensor, "backward", recording)
    return passes
