"""The replicas of a trial, trained in lock-step: the same configuration under several seeds.

They are trained sequentially, or stacked into one computation (:mod:`trainables.replica_group`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from trainables.base_models import base_weights
from trainables.config import TrialConfig
from trainables.datasets import DataFolders, Splits
from trainables.decoding import encode
from trainables.errors import NonFiniteError
from trainables.loop import (
    ReplicaReport,
    init_replica,
    initial_report,
    report_if_due,
    run_group_epoch,
    train_by_epoch,
)
from trainables.replica_group import ReplicaState, stacked_group
from trainables.report import Report
from trainables.runtime.shared_data import load_cached_splits
from trainables.runtime.stop_monitor import StepCallback, no_step_callback

logger = logging.getLogger(__name__)

_DIVERGED = "the training diverged."
_UNDEFINED = "it is not defined there: does a split lack a class?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One seed of a trial: its data and its state of training."""

    data: Splits
    state: ReplicaState


def start_replicas(
    config: TrialConfig,
    folders: DataFolders,
    device: torch.device,
    step_callback: StepCallback = no_step_callback,
) -> tuple[Replica, ...]:
    """Load the data and initialize one replica per seed, with a Base model if it starts from one.

    Raises:
        NonFiniteError: If the loss of a Base model became NaN or infinite.
    """
    loaded = load_cached_splits(config.dataset, folders, config.seeds, device)
    return tuple(
        _start_replica(config, folders, seed, data, device, step_callback)
        for seed, data in zip(config.seeds, loaded, strict=True)
    )


def _start_replica(
    config: TrialConfig,
    folders: DataFolders,
    seed: int,
    data: Splits,
    device: torch.device,
    step_callback: StepCallback,
) -> Replica:
    state = init_replica(config, config.dataset.info, seed, device)
    if config.base is not None:
        home = folders.cache / "base"
        weights = base_weights(config.base, data, seed, home, device, step_callback)
        state.model.load_state_dict(weights)
    return Replica(data=data, state=state)


def train_replicas(
    config: TrialConfig,
    replicas: Sequence[Replica],
    step_callback: StepCallback = no_step_callback,
    *,
    stacked: bool = False,
) -> Iterator[Report | None]:
    """Train all replicas epoch by epoch.

    Args:
        config: The trial.
        replicas: Its replicas, all after the same number of epochs; changed in place.
        step_callback: Called at every step; may raise to end the training.
        stacked: Whether they are trained as one computation; equal results up to rounding.

    Yields:
        After every epoch a report if it was evaluated, else None.

    Raises:
        NonFiniteError: If a loss or metric of any replica is NaN or infinite; names the seed.
    """
    largest = min(config.training.batch_size, len(replicas[0].data.train))
    reason = config.method.idle_reason(largest)
    if reason is not None:
        logger.warning("method %s has no effect: %s.", config.method.name, reason)
    train = _train_stacked if stacked else _train_sequentially
    for reports in train(config, replicas, step_callback):
        done = [report for report in reports if report is not None]
        yield _merge_reports(config, done) if done else None


def _train_sequentially(
    config: TrialConfig, replicas: Sequence[Replica], step_callback: StepCallback
) -> Iterator[Sequence[ReplicaReport | None]]:
    runs = [
        train_by_epoch(config, replica.data, replica.state, step_callback) for replica in replicas
    ]
    yield from zip(*runs, strict=True)


def _train_stacked(
    config: TrialConfig, replicas: Sequence[Replica], step_callback: StepCallback
) -> Iterator[Sequence[ReplicaReport | None]]:
    group = stacked_group(
        config, [each.data for each in replicas], [each.state for each in replicas]
    )
    if group.epoch == 0:
        yield [initial_report(replica.state) for replica in replicas]
    while group.epoch < config.training.epochs:
        run_group_epoch(config, group, step_callback)
        yield [report_if_due(config, replica.data, replica.state) for replica in replicas]


def _merge_reports(config: TrialConfig, reports: Sequence[ReplicaReport]) -> Report:
    names = reports[0].metrics
    report = Report(
        epoch=reports[0].epoch,
        metrics={name: tuple(r.metrics[name] for r in reports) for name in names},
    )
    _require_finite_metrics(config, report)
    return report


def _require_finite_metrics(config: TrialConfig, report: Report) -> None:
    # Outputs that are not finite make every metric NaN: the loss says so, the others follow.
    names = sorted(report.metrics, key=lambda name: not name.endswith("/nll"))
    for name in names:
        for seed, value in zip(config.seeds, report.metrics[name], strict=True):
            if not math.isfinite(value):
                cause = _DIVERGED if name.endswith("/nll") else _UNDEFINED
                raise NonFiniteError(
                    f"{name} is {value} at epoch {report.epoch} of the replica with seed {seed}; "
                    f"parameters: {encode(config.method)}; {cause}"
                )
