"""Replicas that take their steps at the same time: a single one, or several as one computation.

Small networks on small batches leave a large device idle, and several of them one after the
other do so several times. :func:`together` lays the replicas' weights behind one another, so
that a step of all of them is one forward and one backward pass, and one step of one optimiser.
Each replica's own model and optimiser become views of the common ones: whoever evaluates, saves
or analyses a replica needs not know how it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.datasets import Splits
from trainables.joint_model import JointModel
from trainables.replica_state import LossWindow, ReplicaState
from trainables.seeding import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Replicas of one configuration, all after the same number of epochs.

    Attributes:
        data: Splits of each replica, as large as the others'.
        states: The replicas.
        model: Maps a joint batch to its logits.
        optimiser: Of the weights of all.
    """

    data: tuple[Splits, ...]
    states: tuple[ReplicaState, ...]
    model: nn.Module
    optimiser: torch.optim.Optimizer

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.data[0].train.targets.device

    @property
    def epoch(self) -> int:
        """Epochs that all replicas have trained."""
        return self.states[0].epoch

    @property
    def step(self) -> int:
        """Steps that all replicas have taken."""
        return self.states[0].step

    def streams(self, purpose: str, epoch: int) -> tuple[torch.Generator, ...]:
        """Make each replica's stream for a purpose and epoch, on the device."""
        return tuple(
            stream(state.seed, purpose, epoch, device=self.device) for state in self.states
        )

    def orders(self, epoch: int) -> tuple[Tensor, ...]:
        """Shuffle each replica's training set: indices on the device."""
        return tuple(
            torch.randperm(len(data.train), generator=generator, device=self.device)
            for data, generator in zip(self.data, self.streams("shuffling", epoch), strict=True)
        )

    def end_epoch(self, sums: LossWindow) -> None:
        """Give each replica what its steps of an epoch came to."""
        for replica, state in enumerate(self.states):
            state.window.add(sums, replica)
            state.step += sums.steps
            state.epoch += 1
        if isinstance(self.model, JointModel):
            _show_optimiser(self.model.weights, self.optimiser, self.states)


def alone(data: Splits, state: ReplicaState) -> Cohort:
    """Train a replica by itself, on its own model and optimiser."""
    return Cohort(data=(data,), states=(state,), model=state.model, optimiser=state.optimiser)


def together(
    config: TrialConfig, data: Sequence[Splits], states: Sequence[ReplicaState]
) -> Cohort:
    """Train replicas as one computation, from where they stand.

    To float rounding each replica's results are those of training it alone. From now on the
    weights, buffers and optimiser states of ``states`` are views of the cohort's; loading a state
    into one of them afterwards would cut it off.
    """
    model = JointModel([state.model for state in states])
    optimiser = config.training.optimiser.build(model.weights.values())
    _take_optimiser(model.weights, optimiser, states)
    _show_optimiser(model.weights, optimiser, states)
    return Cohort(data=tuple(data), states=tuple(states), model=model, optimiser=optimiser)


def has_dropout(model: nn.Module) -> bool:
    """Tell whether a model draws, from torch's global generator, what to drop."""
    return any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in model.modules())


def _take_optimiser(
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    states: Sequence[ReplicaState],
) -> None:
    """Lay the states of the replicas' optimisers behind one another."""
    own = [dict(state.model.named_parameters()) for state in states]
    for name, weight in weights.items():
        kept = [s.optimiser.state[o[name]] for s, o in zip(states, own, strict=True)]
        # A number that counts steps is the same for all; what has a weight's shape is each one's.
        optimiser.state[weight] = {
            key: torch.stack([each[key] for each in kept]) if value.shape else value.clone()
            for key, value in kept[0].items()
        }


def _show_optimiser(
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    states: Sequence[ReplicaState],
) -> None:
    """Let the replicas' optimisers see their part of the common one's state."""
    for replica, state in enumerate(states):
        for name, parameter in state.model.named_parameters():
            state.optimiser.state[parameter] = {
                key: value[replica] if value.shape else value
                for key, value in optimiser.state[weights[name]].items()
            }
