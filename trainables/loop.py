"""The training loop of one replica, as a generator of reports.

Nothing in an epoch waits for the device: indices are drawn there, losses are summed there, and
whether all were finite is asked once per evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trainables.batch import Batch
from trainables.config import TrainingConfig, TrialConfig
from trainables.datasets import DatasetInfo, Splits
from trainables.decoding import encode
from trainables.errors import NonFiniteError
from trainables.evaluation import evaluate, filter_metrics
from trainables.final_evaluation import evaluate_final
from trainables.labels import is_multi_label
from trainables.optimisers import set_learning_rate
from trainables.seeding import derive_seed, stream
from trainables.watch import Check, unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReport:
    """Metrics of one replica after some epochs; 0 is the freshly initialised model."""

    epoch: int
    metrics: dict[str, float]


@dataclass(slots=True, kw_only=True)
class LossWindow:
    """Losses since the last evaluation, kept on the device.

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


def start(config: TrialConfig, info: DatasetInfo, seed: int, device: torch.device) -> ReplicaState:
    """Initialise a replica; the weights do not depend on the device."""
    model = config.model.build(info, stream(seed, "initialisation")).to(device)
    return ReplicaState(
        seed=seed,
        model=model,
        optimiser=config.training.optimiser.build(model.parameters()),
        epoch=0,
        step=0,
        window=_empty_window(device),
    )


def train(config: TrialConfig, data: Splits, state: ReplicaState) -> Iterator[ReplicaReport]:
    """Train to the full budget and report at every evaluation.

    The first report of a fresh replica has epoch 0 and the filters' metrics alone.

    Args:
        config: Settings of the trial.
        data: Splits, on the device of the model.
        state: Where to start; changed in place.

    Raises:
        NonFiniteError: If a loss was NaN or infinite; names seed, epoch, step and parameters.
    """
    return (report for report in train_by_epoch(config, data, state) if report is not None)


def train_by_epoch(
    config: TrialConfig, data: Splits, state: ReplicaState, check: Check = unwatched
) -> Iterator[ReplicaReport | None]:
    """Train like :func:`train`, but yield after every epoch: None where there is no evaluation.

    ``check`` is called at every step, and ends the training by raising.
    """
    if state.epoch == 0:
        yield ReplicaReport(epoch=0, metrics=filter_metrics(state.model))
    while state.epoch < config.training.epochs:
        run_epoch(config, data, state, check)
        is_last = state.epoch == config.training.epochs
        if is_last or state.epoch % config.training.eval_every == 0:
            yield _report(config, data, state)
        else:
            yield None


def run_epoch(
    config: TrialConfig, data: Splits, state: ReplicaState, check: Check = unwatched
) -> None:
    """Train one epoch, without waiting for the device; ``check`` may end it by raising."""
    device = data.train.targets.device
    epoch = state.epoch + 1
    # Fine-tuning draws on where its Base model stopped, instead of drawing the same again.
    drawn = epoch + (config.training.base.epochs if config.training.base else 0)
    order = torch.randperm(
        len(data.train),
        generator=stream(state.seed, "shuffling", drawn, device=device),
        device=device,
    )
    challenge = stream(state.seed, "challenge", drawn, device=device)
    crops = stream(state.seed, "crops", drawn, device=device)
    n_steps = config.training.epochs * -(-len(order) // config.training.batch_size)
    state.model.train()
    with _dropout_stream(state, drawn, device):
        for indices in order.split(config.training.batch_size):
            check()
            sample = data.train.draw(indices, crops)
            batch = config.method.perturb(state.model, sample, challenge)
            loss = _loss(state.model, batch, is_multi_label(data.train.targets))
            set_learning_rate(state.optimiser, _learning_rate(config.training, state, n_steps))
            state.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            state.optimiser.step()
            _note_step(state, loss.detach(), batch.measures)
    state.epoch = epoch


def require_finite(config: TrialConfig, state: ReplicaState) -> None:
    """Raise if any loss so far was not finite; waits for the device.

    Raises:
        NonFiniteError: Naming seed, epoch, step and parameters.
    """
    step = int(state.window.first_bad)
    if step >= 0:
        epoch = -(-step // max(1, state.step // max(1, state.epoch)))
        raise NonFiniteError(
            f"the loss became NaN or infinite at step {step} (epoch {epoch}) of the replica with "
            f"seed {state.seed}; parameters: {encode(config.method)}; "
            "lower the learning rate, or how far the method changes its samples."
        )


def _learning_rate(training: TrainingConfig, state: ReplicaState, n_steps: int) -> float:
    progress = state.step / max(1, n_steps - 1)
    return training.optimiser.lr * training.schedule.factor(progress)


def _loss(model: nn.Module, batch: Batch, per_label: bool) -> Tensor:
    # The data say which: a method that mixes samples gives numbers per class for either.
    logits = model(batch.inputs)
    if per_label:
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.targets)
    else:
        loss = nn.functional.cross_entropy(logits, batch.targets)
    return loss if batch.extra_loss is None else loss + batch.extra_loss(model, logits)


def _note_step(state: ReplicaState, loss: Tensor, measures: Mapping[str, Tensor]) -> None:
    state.step += 1
    window = state.window
    window.total += loss
    window.steps += 1
    for name, value in measures.items():
        window.measures[name] = window.measures.get(name, 0) + value.detach()
    is_first = (window.first_bad < 0) & ~loss.isfinite()
    window.first_bad = torch.where(is_first, state.step, window.first_bad)


def _report(config: TrialConfig, data: Splits, state: ReplicaState) -> ReplicaReport:
    require_finite(config, state)
    metrics = {
        "train/loss": float(state.window.total) / state.window.steps,
        **{f"train/{k}": float(v) / state.window.steps for k, v in state.window.measures.items()},
        **evaluate(state.model, data.val, "val"),
        **filter_metrics(state.model),
    }
    if config.is_final and state.epoch == config.training.epochs:
        metrics |= evaluate_final(config.evaluation, state.model, data, state.seed)
    state.window = _empty_window(state.window.total.device)
    return ReplicaReport(epoch=state.epoch, metrics=metrics)


def _empty_window(device: torch.device) -> LossWindow:
    return LossWindow(
        total=torch.zeros((), device=device),
        steps=0,
        first_bad=torch.full((), -1, dtype=torch.long, device=device),
    )


def _dropout_stream(
    state: ReplicaState, epoch: int, device: torch.device
) -> AbstractContextManager[None]:
    # torch's dropout knows the global generator alone; without dropout there is nothing to do.
    if not any(isinstance(m, nn.Dropout) and m.p > 0 for m in state.model.modules()):
        return nullcontext()
    return _SeededGlobally(derive_seed(state.seed, "dropout", epoch), device)


class _SeededGlobally(AbstractContextManager[None]):
    """Seed the global generators for a while and give them their state back at the end."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._fork = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *reason: object) -> None:
        self._fork.__exit__(*reason)  # type: ignore[arg-type]
