"""The replicas of a trial, trained in lock-step: the same configuration under several seeds.

Each by itself, one epoch after another, or all as one computation (:mod:`trainables.cohort`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from trainables.base_models import base_weights
from trainables.cohort import together
from trainables.config import TrialConfig
from trainables.datasets import DataFolders, Splits
from trainables.decoding import encode
from trainables.errors import NonFiniteError
from trainables.loop import (
    ReplicaReport,
    first_report,
    report_if_due,
    run_joint_epoch,
    start,
    train_by_epoch,
)
from trainables.replica_state import ReplicaState
from trainables.report import Report
from trainables.shared_data import load_shared
from trainables.watch import Check, unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One seed of a trial: its data and its state of training."""

    data: Splits
    state: ReplicaState


def start_replicas(
    config: TrialConfig, folders: DataFolders, device: torch.device, check: Check = unwatched
) -> tuple[Replica, ...]:
    """Load the data and initialise one replica per seed, with a Base model if it starts from one.

    Raises:
        NonFiniteError: If a Base model was to be trained and its loss became NaN or infinite.
    """
    loaded = load_shared(config.dataset, folders, config.seeds, device)
    return tuple(
        _start_replica(config, folders, seed, data, device, check)
        for seed, data in zip(config.seeds, loaded, strict=True)
    )


def _start_replica(
    config: TrialConfig,
    folders: DataFolders,
    seed: int,
    data: Splits,
    device: torch.device,
    check: Check,
) -> Replica:
    state = start(config, config.dataset.info, seed, device)
    if config.base is not None:
        home = folders.cache / "base"
        weights = base_weights(config.base, data, seed, home, device, check)
        state.model.load_state_dict(weights)
    return Replica(data=data, state=state)


def train_replicas(
    config: TrialConfig,
    replicas: Sequence[Replica],
    check: Check = unwatched,
    *,
    at_once: bool = False,
) -> Iterator[Report | None]:
    """Train all replicas epoch by epoch.

    Args:
        config: The trial.
        replicas: Its replicas, all after the same number of epochs; changed in place.
        check: Called at every step, and may end the training by raising.
        at_once: Whether they are trained as one computation; results are the same to rounding.

    Yields:
        After every epoch: a report if it was evaluated, else None.

    Raises:
        NonFiniteError: If a loss or metric of any replica is NaN or infinite; names the seed.
    """
    train = _train_at_once if at_once else _train_by_turns
    for reports in train(config, replicas, check):
        done = [report for report in reports if report is not None]
        yield _together(config, done) if done else None


def _train_by_turns(
    config: TrialConfig, replicas: Sequence[Replica], check: Check
) -> Iterator[Sequence[ReplicaReport | None]]:
    runs = [train_by_epoch(config, replica.data, replica.state, check) for replica in replicas]
    yield from zip(*runs, strict=True)


def _train_at_once(
    config: TrialConfig, replicas: Sequence[Replica], check: Check
) -> Iterator[Sequence[ReplicaReport | None]]:
    cohort = together(config, [each.data for each in replicas], [each.state for each in replicas])
    if cohort.epoch == 0:
        yield [first_report(replica.state) for replica in replicas]
    while cohort.epoch < config.training.epochs:
        run_joint_epoch(config, cohort, check)
        yield [report_if_due(config, replica.data, replica.state) for replica in replicas]


def _together(config: TrialConfig, reports: Sequence[ReplicaReport]) -> Report:
    names = reports[0].metrics
    report = Report(
        epoch=reports[0].epoch,
        metrics={name: tuple(r.metrics[name] for r in reports) for name in names},
    )
    _require_finite_metrics(config, report)
    return report


def _require_finite_metrics(config: TrialConfig, report: Report) -> None:
    for name, values in report.metrics.items():
        for seed, value in zip(config.seeds, values, strict=True):
            if not torch.isfinite(torch.tensor(value)):
                raise NonFiniteError(
                    f"{name} is {value} at epoch {report.epoch} of the replica with seed {seed}; "
                    f"parameters: {encode(config.method)}; the splits may lack a class, or the "
                    "training diverged."
                )
