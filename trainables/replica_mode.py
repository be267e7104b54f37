"""Choice between stacked (``vmap``) and sequential (``loop``) training of a trial's replicas.

``auto`` stacks on a GPU alone, if some timed steps are faster that way; the decision is cached
for all trials of the same shape. On a CPU results are reproducible to the last bit, which depends
on how they are computed, while timings there vary from moment to moment: replicas are trained
sequentially unless the study sets ``vmap``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import nn

from trainables.attribution import EpsilonLrp
from trainables.code_digest import code_digest
from trainables.config import TrialConfig
from trainables.datasets import Splits
from trainables.decoding import encode
from trainables.loop import group_steps
from trainables.plugins import used_plugins
from trainables.replica_group import (
    ReplicaGroup,
    ReplicaState,
    has_dropout,
    single_group,
    stacked_group,
)
from trainables.runtime.stop_monitor import StepCallback, no_step_callback
from trainables.runtime.storage_errors import atomic_file

logger = logging.getLogger(__name__)

TIMED_STEPS: Final = 3
_TIMED_ROUNDS: Final = 7


def stacking_obstacle(config: TrialConfig, model: nn.Module) -> str | None:
    """Return why replicas cannot be stacked; None if they can."""
    if len(config.seeds) == 1:
        return "there is one replica"
    if has_dropout(model):
        return "dropout draws from one generator for all replicas"
    attribution = getattr(config.method, "attribution", None)
    if attribution is not None and not isinstance(attribution, EpsilonLrp):
        return f"attribution {attribution.name!r} needs the layers of a single network"
    return None


def is_stacking_faster(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    cache: Path,
    step_callback: StepCallback = no_step_callback,
) -> bool:
    """Return whether stacking is faster: False on a CPU, else cached or measured on copies.

    Args:
        config: The trial.
        data: Splits of each replica, on its device.
        states: The replicas, which are not changed.
        cache: Folder of cached decisions.
        step_callback: Called at every step; may raise to end the measurement.
    """
    device = data[0].train.targets.device
    if device.type == "cpu":
        return False
    file = cache / "replica_mode" / f"{_cache_key(config, device)}.json"
    return cached_decision(file, lambda: measure_speedup(config, data, states, step_callback))


def cached_decision(file: Path, measure: Callable[[], float]) -> bool:
    """Return whether a speedup is above 1, from a file or measured and written to it."""
    if (known := _read_decision(file)) is not None:
        return known
    try:
        speedup = measure()
    except torch.OutOfMemoryError:
        speedup = 0.0
    logger.info("stacked replicas are %.2f times as fast as sequential ones", speedup)
    _write_decision(file, speedup)
    return speedup > 1


def _read_decision(file: Path) -> bool | None:
    """Return a stored decision; None where there is none, or its file is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    decision = found.get("is_faster") if isinstance(found, dict) else None
    return decision if isinstance(decision, bool) else None


def measure_speedup(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    step_callback: StepCallback = no_step_callback,
) -> float:
    """Measure sequential ÷ stacked seconds on copies, as the median of several rounds."""
    copies = copy.deepcopy(tuple(states))
    stacked_groups = (stacked_group(config, data, copy.deepcopy(copies)),)
    single_groups = tuple(single_group(d, s) for d, s in zip(data, copies, strict=True))
    loop = step_timer(config, single_groups, step_callback)
    vmap = step_timer(config, stacked_groups, step_callback)
    # Interleaved, so that a busy machine slows both; the first round is not counted.
    speedups = [loop() / vmap() for _ in range(_TIMED_ROUNDS + 1)]
    return statistics.median(speedups[1:])


def step_timer(
    config: TrialConfig,
    groups: Sequence[ReplicaGroup],
    step_callback: StepCallback = no_step_callback,
) -> Callable[[], float]:
    """Return a function that trains each group for some more steps and returns the seconds."""
    runs = [_endless_steps(config, group, step_callback) for group in groups]
    device = groups[0].device

    def run() -> float:
        began = time.perf_counter()
        for steps in runs:
            for _ in islice(steps, TIMED_STEPS):
                pass
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    return run


def _endless_steps(
    config: TrialConfig, group: ReplicaGroup, step_callback: StepCallback
) -> Iterator[None]:
    while True:
        yield from group_steps(config, group, step_callback)


def _cache_key(config: TrialConfig, device: torch.device) -> str:
    """Hash what the decision depends on; a method's parameters are not part of it."""
    parts = encode(config)
    facts = {
        **{name: parts[name] for name in ("dataset", "model")},
        "batch_size": config.training.batch_size,
        "optimizer": config.training.optimizer.name,
        "precision": config.training.precision,
        "method": config.method.name,
        "replicas": len(config.seeds),
        "device": torch.cuda.get_device_name(device),
        "torch": version("torch"),
        "code": code_digest(),
        "plugins": used_plugins(config),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _write_decision(file: Path, speedup: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"is_faster": speedup > 1, "speedup": speedup})
    with atomic_file(file) as opened:
        opened.write(content.encode())
