"""Trained Base models from which fine-tuning starts, each trained once and cached on disk.

The key of a Base model is everything that its weights depend on: data (settings and samples),
model, training, seed, type of device, and code. The first process to need one trains it under a
file lock, and the others wait. The cached model is the last of its checkpoints, from which a
killed training resumes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from trainables import checkpoint
from trainables.code_digest import code_digest
from trainables.config import TrialConfig
from trainables.datasets import Samples, Splits
from trainables.decoding import encode
from trainables.loop import init_replica, require_finite, run_epoch
from trainables.plugins import used_plugins
from trainables.replica_group import ReplicaState
from trainables.runtime.stop_monitor import StepCallback, no_step_callback
from trainables.seeding import stream

logger = logging.getLogger(__name__)

_POLL_INTERVAL_S = 0.2

# Training samples whose inputs identify the data, beside the classes of all samples.
_FINGERPRINT_SAMPLES = 32


def base_weights(
    config: TrialConfig,
    data: Splits,
    seed: int,
    folder: Path,
    device: torch.device,
    step_callback: StepCallback = no_step_callback,
) -> Mapping[str, Tensor]:
    """Return the weights of a trained Base model, from the folder or by training it.

    Args:
        config: The Base model's own trial, :attr:`TrialConfig.base`.
        data: Splits of the replica, on the device.
        seed: Seed of the replica.
        folder: Cache of Base models that all trials share.
        device: Device of the training.
        step_callback: Called at every training step and while waiting; may raise to end either.

    Raises:
        NonFiniteError: If its loss became NaN or infinite.
    """
    home = folder / _key(config, data, seed, device)
    epochs = config.training.epochs
    with _lock(home, step_callback):
        state = init_replica(config, config.dataset.info, seed, device)
        stored = checkpoint.load_latest(home)
        if stored is not None:
            state.load_state_dict(stored)
        if state.epoch < epochs:
            logger.info("training the Base model of seed %d for %d epochs", seed, epochs)
            _train(config, data, state, home, step_callback)
    return state.model.state_dict()


def _train(
    config: TrialConfig, data: Splits, state: ReplicaState, home: Path, step_callback: StepCallback
) -> None:
    saved_at = time.monotonic()
    while state.epoch < config.training.epochs:
        run_epoch(config, data, state, step_callback)
        is_last = state.epoch == config.training.epochs
        if is_last or time.monotonic() - saved_at >= config.training.checkpoint_every_s:
            require_finite(config, state)
            checkpoint.save(home, state.epoch, state.state_dict())
            saved_at = time.monotonic()


def _key(config: TrialConfig, data: Splits, seed: int, device: torch.device) -> str:
    parts = encode(config)
    facts: dict[str, Any] = {
        **{name: parts[name] for name in ("dataset", "model", "training", "method")},
        "content": config.model.content,
        "samples": _fingerprint(data.train),
        "seed": seed,
        "device": device.type,
        "torch": version("torch"),
        "code": code_digest(),
        "plugins": used_plugins(config),
    }
    del facts["training"]["checkpoint_every_s"]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _fingerprint(samples: Samples) -> str:
    """Identify the training samples: a data root may hold a part of what the settings name."""
    device = samples.targets.device
    first = torch.arange(min(_FINGERPRINT_SAMPLES, len(samples)), device=device)
    drawn = samples.make_batch(first, stream(0, "fingerprint", device=device))
    digest = hashlib.sha256(samples.targets.cpu().numpy().tobytes())
    digest.update(drawn.inputs.cpu().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _lock(home: Path, step_callback: StepCallback) -> Iterator[None]:
    # The operating system releases the lock when the process ends in any way.
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "lock")
    while not lock.is_locked:
        # A stop may be requested while another process trains.
        step_callback()
        with suppress(Timeout):
            lock.acquire(timeout=_POLL_INTERVAL_S)
    try:
        yield
    finally:
        lock.release()
