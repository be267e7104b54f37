"""One trial from its configuration to its last report, continuing from its newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainables import checkpoint
from trainables.attribution_maps import save_attribution_maps
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.errors import CheckpointError
from trainables.loop import require_finite
from trainables.replicas import Replica, start_replicas, train_replicas
from trainables.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlace:
    """Where a trial runs.

    Attributes:
        folder: Its own folder, for checkpoints and attribution maps; on storage that every
            machine which may continue the trial can reach.
        data: Where data is read from.
        device: Where it computes.
    """

    folder: Path
    data: DataFolders
    device: torch.device


def run_trial(config: TrialConfig, place: TrialPlace) -> Iterator[Report]:
    """Train all replicas and report at every evaluation, the last time after the last epoch.

    If the folder holds a checkpoint, the reports up to it come first, again, and training goes
    on from there; on the CPU the result is bit for bit that of an uninterrupted trial, repeated
    reports included. At most ``checkpoint_every_s`` of work is repeated.

    Raises:
        CheckpointError: If the checkpoint belongs to another configuration.
        NonFiniteError: If a loss or metric is NaN or infinite.
    """
    replicas = start_replicas(config, place.data, place.device)
    reports = _restore(config, replicas, place.folder)
    yield from reports
    saved_at = time.monotonic()
    for report in train_replicas(config, replicas):
        if report is not None:
            reports.append(report)
        epoch = replicas[0].state.epoch
        if epoch == config.training.epochs:
            if config.is_final:
                save_attribution_maps(config, replicas[0], place.folder)
        elif epoch and time.monotonic() - saved_at >= config.training.checkpoint_every_s:
            _save(config, replicas, reports, place.folder)
            saved_at = time.monotonic()
        if report is not None:
            yield report


def _save(
    config: TrialConfig, replicas: Sequence[Replica], reports: Sequence[Report], folder: Path
) -> None:
    for replica in replicas:
        require_finite(config, replica.state)
    payload = {
        "config_hash": config.hash(),
        "replicas": [replica.state.state_dict() for replica in replicas],
        "reports": [(report.epoch, dict(report.metrics)) for report in reports],
    }
    checkpoint.save(folder, replicas[0].state.epoch, payload)


def _restore(config: TrialConfig, replicas: Sequence[Replica], folder: Path) -> list[Report]:
    payload: dict[str, Any] | None = checkpoint.load_newest(folder)
    if payload is None:
        return []
    if payload["config_hash"] != config.hash():
        raise CheckpointError(
            f"{folder} holds a checkpoint of configuration {payload['config_hash']}, but this "
            f"trial's is {config.hash()}; it belongs to another study or version: move it away."
        )
    for replica, state in zip(replicas, payload["replicas"], strict=True):
        replica.state.load_state_dict(state)
    return [Report(epoch=epoch, metrics=metrics) for epoch, metrics in payload["reports"]]
