"""What training changes of a replica: model, optimiser, counters and losses not yet reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True, kw_only=True)
class LossWindow:
    """Losses since the last evaluation, kept on the device; of one replica, or one per replica.

    Attributes:
        total: Sum of the steps' losses.
        steps: Number of steps in the sum.
        first_bad: Step since the start of the trial at which the loss first was not finite, or
            -1.
        measures: Sums of what the method measures, by name.
    """

    total: Tensor
    steps: int
    first_bad: Tensor
    measures: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def empty(cls, device: torch.device, *shape: int) -> LossWindow:
        """Begin with nothing, for one replica or for as many as ``shape`` says."""
        return cls(
            total=torch.zeros(shape, device=device),
            steps=0,
            first_bad=torch.full(shape, -1, dtype=torch.long, device=device),
        )

    def note_step(self, step: int, losses: Tensor, measures: Mapping[str, Tensor]) -> None:
        """Take a step's losses and measures, one per replica."""
        self.steps += 1
        self.total += losses
        for name, values in measures.items():
            self.measures[name] = self.measures.get(name, 0) + values.detach()
        is_first = (self.first_bad < 0) & ~losses.isfinite()
        self.first_bad = torch.where(is_first, step, self.first_bad)

    def add(self, sums: LossWindow, replica: int) -> None:
        """Take what a replica's steps of an epoch came to."""
        self.steps += sums.steps
        self.total = self.total + sums.total[replica]
        for name, values in sums.measures.items():
            self.measures[name] = self.measures.get(name, 0) + values[replica]
        bad = sums.first_bad[replica]
        self.first_bad = torch.where(self.first_bad < 0, bad, self.first_bad)


@dataclass(slots=True, kw_only=True)
class ReplicaState:
    """What training changes; a checkpoint is this and nothing else.

    Mutable because models and optimisers are. All random streams are functions of ``seed`` and
    ``epoch`` (see :mod:`trainables.seeding`), so they need no state of their own.
    """

    seed: int
    model: nn.Module
    optimiser: torch.optim.Optimizer
    epoch: int
    step: int
    window: LossWindow

    def state_dict(self) -> dict[str, object]:
        """Give everything from which :meth:`load_state_dict` continues bit for bit."""
        return {
            "seed": self.seed,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_total": self.window.total,
            "loss_steps": self.window.steps,
            "first_bad": self.window.first_bad,
            "measures": dict(self.window.measures),
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from a checkpoint."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self.epoch = int(state["epoch"])  # type: ignore[call-overload]
        self.step = int(state["step"])  # type: ignore[call-overload]
        device = self.window.total.device
        self.window = LossWindow(
            total=state["loss_total"].to(device),  # type: ignore[attr-defined]
            steps=int(state["loss_steps"]),  # type: ignore[call-overload]
            first_bad=state["first_bad"].to(device),  # type: ignore[attr-defined]
            measures={k: v.to(device) for k, v in state["measures"].items()},  # type: ignore[attr-defined]
        )
