"""Training state of a replica, and groups of replicas that take their steps together.

A group holds one replica, or several stacked into one computation by ``torch.func.vmap``. In a
stacked group each replica's model and optimizer are views of the stacked ones, so evaluation,
checkpoints and analyses treat every replica alike.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.dropout import _DropoutNd

from trainables.config import TrialConfig
from trainables.datasets import Splits
from trainables.seeding import stream


@dataclass(slots=True, kw_only=True)
class LossWindow:
    """Losses since the last evaluation on the device: of one replica, or one per replica.

    Attributes:
        total: Sum of the steps' losses.
        steps: Number of steps in the sum.
        first_nonfinite_step: First step of the trial whose loss was not finite, or -1.
        train_metrics: Sums of the method's own metrics, by name.
    """

    total: Tensor
    steps: int
    first_nonfinite_step: Tensor
    train_metrics: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def empty(cls, device: torch.device, *shape: int) -> LossWindow:
        """Create an empty window for one replica, or for ``shape`` replicas."""
        return cls(
            total=torch.zeros(shape, device=device),
            steps=0,
            first_nonfinite_step=torch.full(shape, -1, dtype=torch.long, device=device),
        )

    def record_step(self, step: int, losses: Tensor, train_metrics: Mapping[str, Tensor]) -> None:
        """Add a step's losses and metrics, one per replica."""
        self.steps += 1
        self.total += losses
        for name, values in train_metrics.items():
            self.train_metrics[name] = self.train_metrics.get(name, 0) + values.detach()
        is_first = (self.first_nonfinite_step < 0) & ~losses.isfinite()
        self.first_nonfinite_step = torch.where(is_first, step, self.first_nonfinite_step)

    def add(self, sums: LossWindow, replica: int) -> None:
        """Add one replica's sums of an epoch."""
        self.steps += sums.steps
        self.total = self.total + sums.total[replica]
        for name, values in sums.train_metrics.items():
            self.train_metrics[name] = self.train_metrics.get(name, 0) + values[replica]
        first = self.first_nonfinite_step
        self.first_nonfinite_step = torch.where(
            first < 0, sums.first_nonfinite_step[replica], first
        )


@dataclass(slots=True, kw_only=True)
class ReplicaState:
    """Everything that training changes, and the content of a checkpoint.

    Mutable like models and optimizers. All random streams are functions of ``seed`` and ``epoch``
    (see :mod:`trainables.seeding`) and have no state.
    """

    seed: int
    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int
    step: int
    window: LossWindow

    def state_dict(self) -> dict[str, object]:
        """Return the state from which :meth:`load_state_dict` continues bit for bit."""
        return {
            "seed": self.seed,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_total": self.window.total,
            "loss_steps": self.window.steps,
            "first_nonfinite_step": self.window.first_nonfinite_step,
            "train_metrics": dict(self.window.train_metrics),
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from a checkpoint."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.epoch = int(state["epoch"])  # type: ignore[call-overload]
        self.step = int(state["step"])  # type: ignore[call-overload]
        device = self.window.total.device
        self.window = LossWindow(
            total=state["loss_total"].to(device),  # type: ignore[attr-defined]
            steps=int(state["loss_steps"]),  # type: ignore[call-overload]
            first_nonfinite_step=state["first_nonfinite_step"].to(device),  # type: ignore[attr-defined]
            train_metrics={k: v.to(device) for k, v in state["train_metrics"].items()},  # type: ignore[attr-defined]
        )


class StackedModel(nn.Module):
    """Networks with stacked weights; sample i·R + r goes through the r-th of R.

    A convolution of all of them is one grouped convolution, a linear layer one batched product.
    The submodules are those of one network on the meta device, so that forward hooks and modes
    reach all networks at once. Gradients by inputs and weights are each network's own.

    Attributes:
        weights: Name to the weights of all networks, ``(R, *)``. The given networks' weights and
            buffers become views of the stacked ones.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Stack networks of equal layers, and make their weights and buffers views."""
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
            self._share_weights(network, replica)

    def forward(
        self, inputs: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits of a joint batch."""
        by_network = inputs.unflatten(0, (-1, self._n_networks))
        run = vmap(self._forward_one, in_dims=(0, 0, 1), out_dims=1)
        logits: Tensor = run(self.weights, self._statistics, by_network)
        return logits.flatten(0, 1)

    def _forward_one(
        self, weights: Mapping[str, Tensor], statistics: Mapping[str, Tensor], inputs: Tensor
    ) -> Tensor:
        logits: Tensor = functional_call(self.layers, ({**weights, **statistics}), (inputs,))
        return logits

    def _share_weights(self, network: nn.Module, replica: int) -> None:
        for name, parameter in network.named_parameters():
            parameter.data = self.weights[name].data[replica]
        for name, statistic in self._statistics.items():
            module, _, own = name.rpartition(".")
            network.get_submodule(module)._buffers[own] = statistic[replica]


def _weight(network: nn.Module, name: str) -> Tensor:
    return network.get_parameter(name).detach()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaGroup:
    """Replicas of one configuration, all after the same number of epochs.

    Attributes:
        data: Splits of each replica, of equal sizes.
        states: The replicas.
        model: Network that maps a joint batch to its logits.
        optimizer: Optimizer of all weights.
    """

    data: tuple[Splits, ...]
    states: tuple[ReplicaState, ...]
    model: nn.Module
    optimizer: torch.optim.Optimizer

    @property
    def device(self) -> torch.device:
        """Device of data and weights."""
        return self.data[0].train.targets.device

    @property
    def epoch(self) -> int:
        """Epochs that all replicas have trained."""
        return self.states[0].epoch

    @property
    def step(self) -> int:
        """Steps that all replicas have taken."""
        return self.states[0].step

    def generators(self, purpose: str, epoch: int) -> tuple[torch.Generator, ...]:
        """Return each replica's random stream for a purpose and epoch, on the device."""
        return tuple(
            stream(state.seed, purpose, epoch, device=self.device) for state in self.states
        )

    def shuffled_indices(self, epoch: int) -> tuple[Tensor, ...]:
        """Return the shuffled indices of each replica's training set, on the device."""
        return tuple(
            torch.randperm(len(data.train), generator=generator, device=self.device)
            for data, generator in zip(self.data, self.generators("shuffling", epoch), strict=True)
        )

    def end_epoch(self, sums: LossWindow) -> None:
        """Add the sums of an epoch to each replica's state."""
        for replica, state in enumerate(self.states):
            state.window.add(sums, replica)
            state.step += sums.steps
            state.epoch += 1
        if isinstance(self.model, StackedModel):
            _share_optimizer_state(self.model.weights, self.optimizer, self.states)


def single_group(data: Splits, state: ReplicaState) -> ReplicaGroup:
    """Return a group of one replica, on its own model and optimizer."""
    return ReplicaGroup(
        data=(data,), states=(state,), model=state.model, optimizer=state.optimizer
    )


def stacked_group(
    config: TrialConfig, data: Sequence[Splits], states: Sequence[ReplicaState]
) -> ReplicaGroup:
    """Return a group that trains replicas as one computation, from their current states.

    Up to float rounding each replica's results are those of training it alone. The weights,
    buffers and optimizer states of ``states`` become views of the group's; loading a state into
    one of them afterwards would detach it.
    """
    model = StackedModel([state.model for state in states])
    optimizer = config.training.optimizer.build(model.weights.values())
    _take_optimizer(model.weights, optimizer, states)
    _share_optimizer_state(model.weights, optimizer, states)
    return ReplicaGroup(data=tuple(data), states=tuple(states), model=model, optimizer=optimizer)


def has_dropout(model: nn.Module) -> bool:
    """Return whether a model may draw from torch's global generator, as dropout does.

    Of layers that are neither torch's, torchvision's nor this package's nothing is known.
    """
    return any(_may_draw(layer) for layer in model.modules())


def _may_draw(layer: nn.Module) -> bool:
    if type(layer).__module__.partition(".")[0] not in ("torch", "torchvision", "trainables"):
        return True
    if isinstance(layer, nn.MultiheadAttention):
        return bool(layer.dropout)
    # torchvision's own dropout of whole samples is met by name: its import takes seconds.
    drops = isinstance(layer, _DropoutNd) or type(layer).__name__ == "StochasticDepth"
    return drops and bool(layer.p)


def _take_optimizer(
    weights: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    states: Sequence[ReplicaState],
) -> None:
    """Stack the states of the replicas' optimizers."""
    own = [dict(state.model.named_parameters()) for state in states]
    for name, weight in weights.items():
        kept = [s.optimizer.state[o[name]] for s, o in zip(states, own, strict=True)]
        # Step counts are scalars and equal for all; states of a weight's shape are stacked.
        optimizer.state[weight] = {
            key: torch.stack([each[key] for each in kept]) if value.shape else value.clone()
            for key, value in kept[0].items()
        }


def _share_optimizer_state(
    weights: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    states: Sequence[ReplicaState],
) -> None:
    """Make the states of the replicas' optimizers views of the stacked one."""
    for replica, state in enumerate(states):
        for name, parameter in state.model.named_parameters():
            state.optimizer.state[parameter] = {
                key: value[replica] if value.shape else value
                for key, value in optimizer.state[weights[name]].items()
            }
