"""Several networks of one shape as one module over a joint batch, by ``torch.func.vmap``."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap


class JointModel(nn.Module):
    """Networks whose weights lie behind one another; sample i·R + r goes through the r-th of R.

    A convolution over all of them is one grouped convolution, a linear layer one batched product.
    Its submodules are those of one network, without weights of their own, so that forward hooks
    and modes reach all networks at once. Gradients with respect to inputs and weights are each
    network's own.

    Attributes:
        weights: Name to the weights of all networks, ``(R, *)``. The networks given are left with
            views of them, and of the common buffers.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Join networks of equal layers, and make their weights and buffers views of the joint."""
        super().__init__()
        self._n_networks = len(networks)
        self.weights = {
            name: nn.Parameter(torch.stack([_weight(each, name) for each in networks]))
            for name, _ in networks[0].named_parameters()
        }
        self._statistics = {
            name: torch.stack([each.get_buffer(name) for each in networks])
            for name, _ in networks[0].named_buffers()
        }
        self.layers = copy.deepcopy(networks[0]).to("meta")
        for replica, network in enumerate(networks):
            self._show(network, replica)

    def forward(
        self, inputs: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of a joint batch."""
        by_network = inputs.unflatten(0, (-1, self._n_networks))
        run = vmap(self._one, in_dims=(0, 0, 1), out_dims=1)
        logits: Tensor = run(self.weights, self._statistics, by_network)
        return logits.flatten(0, 1)

    def _one(
        self, weights: Mapping[str, Tensor], statistics: Mapping[str, Tensor], inputs: Tensor
    ) -> Tensor:
        logits: Tensor = functional_call(self.layers, ({**weights, **statistics}), (inputs,))
        return logits

    def _show(self, network: nn.Module, replica: int) -> None:
        for name, parameter in network.named_parameters():
            parameter.data = self.weights[name].data[replica]
        for name, statistic in self._statistics.items():
            module, _, own = name.rpartition(".")
            network.get_submodule(module)._buffers[own] = statistic[replica]


def _weight(network: nn.Module, name: str) -> Tensor:
    return network.get_parameter(name).detach()
