"""The training loop: an epoch of one replica or of a stacked group, and a replica's reports.

Nothing in an epoch waits for the device: indices are drawn and losses are summed there, and
whether all were finite is checked once per evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trainables.batch import Batch, interleave, is_multi_label
from trainables.config import Precision, TrainingConfig, TrialConfig
from trainables.datasets import DatasetInfo, Splits
from trainables.decoding import encode
from trainables.errors import NonFiniteError
from trainables.evaluation import evaluate, filter_metrics
from trainables.final_evaluation import evaluate_final
from trainables.optimizers import set_learning_rate
from trainables.replica_group import (
    LossWindow,
    ReplicaGroup,
    ReplicaState,
    has_dropout,
    single_group,
)
from trainables.replica_rng import ReplicaRNG
from trainables.runtime.stop_monitor import StepCallback, no_step_callback
from trainables.seeding import derive_seed, seeded_global_rng, stream

# Seeds all weights: another spelling would change every result.
_WEIGHTS_PURPOSE = "initialisation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReport:
    """Metrics of one replica after some epochs; 0 is the freshly initialized model."""

    epoch: int
    metrics: dict[str, float]


def init_replica(
    config: TrialConfig, info: DatasetInfo, seed: int, device: torch.device
) -> ReplicaState:
    """Initialize a replica; the weights do not depend on the device."""
    model = config.model.build(info, stream(seed, _WEIGHTS_PURPOSE)).to(device)
    return ReplicaState(
        seed=seed,
        model=model,
        optimizer=config.training.optimizer.build(model.parameters()),
        epoch=0,
        step=0,
        window=LossWindow.empty(device),
    )


def train_by_epoch(
    config: TrialConfig,
    data: Splits,
    state: ReplicaState,
    step_callback: StepCallback = no_step_callback,
) -> Iterator[ReplicaReport | None]:
    """Train to the last epoch and yield after every epoch a report, or None without evaluation.

    The first report of a fresh replica has epoch 0 and the filters' metrics alone.

    Args:
        config: Settings of the trial.
        data: Splits, on the device of the model.
        state: State to start from; changed in place.
        step_callback: Called at every step; may raise to end the training.

    Raises:
        NonFiniteError: If a loss was NaN or infinite; names seed, epoch, step and parameters.
    """
    if state.epoch == 0:
        yield initial_report(state)
    while state.epoch < config.training.epochs:
        run_epoch(config, data, state, step_callback)
        yield report_if_due(config, data, state)


def run_epoch(
    config: TrialConfig,
    data: Splits,
    state: ReplicaState,
    step_callback: StepCallback = no_step_callback,
) -> None:
    """Train one epoch, without waiting for the device; ``step_callback`` may raise to end it."""
    run_group_epoch(config, single_group(data, state), step_callback)


def run_group_epoch(
    config: TrialConfig, group: ReplicaGroup, step_callback: StepCallback = no_step_callback
) -> None:
    """Train one epoch of a group, equal to :func:`run_epoch` of each of its replicas."""
    for _ in group_steps(config, group, step_callback):
        pass


def group_steps(
    config: TrialConfig, group: ReplicaGroup, step_callback: StepCallback = no_step_callback
) -> Iterator[None]:
    """Train one epoch of a group and yield after every step; the last step ends the epoch."""
    training, epoch = config.training, group.epoch + 1
    # Fine-tuning continues the random streams of its Base model instead of repeating them.
    drawn = epoch + (training.base.epochs if training.base else 0)
    batches = [order.split(training.batch_size) for order in group.shuffled_indices(drawn)]
    crops = group.generators("crops", drawn)
    challenge = ReplicaRNG(group.generators("challenge", drawn))
    n_steps = training.epochs * len(batches[0])
    per_label = is_multi_label(group.data[0].train.targets)
    sums = LossWindow.empty(group.device, len(group.states))
    group.model.train()
    with _dropout_rng(group, drawn):
        for step, indices in enumerate(zip(*batches, strict=True), start=group.step):
            step_callback()
            sample = interleave(
                [
                    data.train.make_batch(own, generator)
                    for data, own, generator in zip(group.data, indices, crops, strict=True)
                ]
            )
            batch = config.method.perturb(group.model, sample, challenge)
            with _autocast(training.precision, group.device):
                losses = _losses(group.model, batch, per_label=per_label)
            set_learning_rate(group.optimizer, _learning_rate(training, step, n_steps))
            group.optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
            group.optimizer.step()
            sums.record_step(step + 1, losses.detach(), batch.train_metrics)
            yield
    group.end_epoch(sums)


def require_finite(config: TrialConfig, state: ReplicaState) -> None:
    """Raise if any loss so far was not finite; waits for the device.

    Raises:
        NonFiniteError: Naming seed, epoch, step and parameters.
    """
    step = int(state.window.first_nonfinite_step)
    if step >= 0:
        epoch = -(-step // max(1, state.step // max(1, state.epoch)))
        raise NonFiniteError(
            f"the loss became NaN or infinite at step {step} (epoch {epoch}) of the replica with "
            f"seed {state.seed}; parameters: {encode(config.method)}; "
            "lower the learning rate, or how far the method changes its samples."
        )


def _learning_rate(training: TrainingConfig, step: int, n_steps: int) -> float:
    return training.optimizer.lr * training.schedule.factor(step / max(1, n_steps - 1))


def _autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _losses(model: nn.Module, batch: Batch, *, per_label: bool) -> Float[Tensor, " replica"]:
    # Decided by the data: a method that mixes samples has targets per class for both kinds.
    logits = model(batch.inputs)
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    if per_label:
        loss = functional.binary_cross_entropy_with_logits(
            logits, batch.targets, reduction="none"
        ).mean(1)
    else:
        loss = functional.cross_entropy(logits, batch.targets, reduction="none")
    if batch.extra_loss is not None:
        loss = loss + batch.extra_loss(model, logits)
    return batch.split_by_replica(loss).mean(0)


def initial_report(state: ReplicaState) -> ReplicaReport:
    """Return the report of a fresh replica: the filters' metrics alone."""
    return ReplicaReport(epoch=0, metrics=filter_metrics(state.model))


def report_if_due(config: TrialConfig, data: Splits, state: ReplicaState) -> ReplicaReport | None:
    """Evaluate a replica after an epoch, or return None if no evaluation is due.

    Raises:
        NonFiniteError: If a loss was NaN or infinite.
    """
    is_last = state.epoch == config.training.epochs
    if not is_last and state.epoch % config.training.eval_every:
        return None
    require_finite(config, state)
    metrics = {
        "train/loss": float(state.window.total) / state.window.steps,
        **{
            f"train/{k}": float(v) / state.window.steps
            for k, v in state.window.train_metrics.items()
        },
        **evaluate(state.model, data.val, "val"),
        **filter_metrics(state.model),
    }
    if config.is_final and is_last:
        metrics |= evaluate_final(config.evaluation, state.model, data, state.seed)
    state.window = LossWindow.empty(state.window.total.device)
    return ReplicaReport(epoch=state.epoch, metrics=metrics)


def _dropout_rng(group: ReplicaGroup, epoch: int) -> AbstractContextManager[None]:
    # torch's dropout draws from the global generator alone.
    if not has_dropout(group.model):
        return nullcontext()
    (state,) = group.states
    return seeded_global_rng(derive_seed(state.seed, "dropout", epoch), group.device)
