"""Whether the replicas of a trial are trained as one computation.

By default on a GPU alone, where it is tried for some steps, and the answer is kept in the cache
for all trials of the same shape. On a CPU results are promised to the last bit, which depends on
how they are computed, and what is faster there changes from one moment to the next: it is trained
by turns unless the study says otherwise.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

import torch
from torch import nn

from trainables.attribution import EpsilonLrp
from trainables.code_digest import code_digest
from trainables.config import TrialConfig
from trainables.datasets import Splits
from trainables.decoding import encode
from trainables.loop import group_steps
from trainables.replica_group import (
    ReplicaGroup,
    ReplicaState,
    has_dropout,
    single_group,
    stacked_group,
)
from trainables.runtime.interleaved_timing import paired_ratio, time_interleaved
from trainables.runtime.stop_monitor import StepCallback, no_step_callback

logger = logging.getLogger(__name__)

ReplicaMode: TypeAlias = Literal["auto", "vmap", "loop"]

TIMED_STEPS: Final = 3


def stacking_obstacle(config: TrialConfig, model: nn.Module) -> str | None:
    """Say why replicas cannot be trained as one computation; None if they can."""
    if len(config.seeds) == 1:
        return "there is one replica"
    if has_dropout(model):
        return "what is dropped is drawn from one generator for all replicas"
    attribution = getattr(config.method, "attribution", None)
    if attribution is not None and not isinstance(attribution, EpsilonLrp):
        return f"attribution {attribution.name!r} looks into the layers of one network"
    return None


def is_stacking_faster(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    cache: Path,
    step_callback: StepCallback = no_step_callback,
) -> bool:
    """Find out which is faster, unless it is a CPU; the replicas are left as they are.

    Args:
        config: The trial.
        data: Splits of each replica, on its device.
        states: The replicas.
        cache: Folder where the answer is kept.
        check: Called at every step, and may end it by raising.
    """
    device = data[0].train.targets.device
    if device.type == "cpu":
        return False
    file = cache / "replica_mode" / f"{_cache_key(config, device)}.json"
    return cached_decision(file, lambda: measure_speedup(config, data, states, step_callback))


def cached_decision(file: Path, measure: Callable[[], float]) -> bool:
    """Tell whether a gain is above 1: from a file, or by measuring it and writing the file."""
    if file.exists():
        return bool(json.loads(file.read_text(encoding="utf-8"))["is_faster"])
    try:
        speedup = measure()
    except torch.OutOfMemoryError:
        speedup = 0.0
    logger.info("stacked replicas are %.2f times as fast as sequential ones", speedup)
    _write_decision(file, speedup)
    return speedup > 1


def measure_speedup(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    step_callback: StepCallback = no_step_callback,
) -> float:
    """Measure how many times as fast the replicas train as one computation; on copies.

    Returns:
        Seconds one after the other ÷ seconds at once, the median of several rounds.
    """
    copies = copy.deepcopy(tuple(states))
    stacked_groups = (stacked_group(config, data, copy.deepcopy(copies)),)
    single_groups = tuple(single_group(d, s) for d, s in zip(data, copies, strict=True))
    times = time_interleaved(
        {
            name: step_timer(config, groups, step_callback)
            for name, groups in (("by turns", single_groups), ("at once", stacked_groups))
        }
    )
    return paired_ratio(times["by turns"], to=times["at once"]).median


def step_timer(
    config: TrialConfig,
    groups: Sequence[ReplicaGroup],
    step_callback: StepCallback = no_step_callback,
) -> Callable[[], float]:
    """Give what trains each cohort for some steps more and says how many seconds they took."""
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
    """Name what the answer depends on; the values of a method's numbers are no part of it."""
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
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _write_decision(file: Path, speedup: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{time.time_ns()}.tmp")
    partial.write_text(
        json.dumps({"is_faster": speedup > 1, "speedup": speedup}), encoding="utf-8"
    )
    partial.replace(file)
