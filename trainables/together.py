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
from trainables.benchmark.pairing import in_turn, ratio
from trainables.code import code_digest
from trainables.cohort import Cohort, alone, has_dropout, together
from trainables.config import TrialConfig
from trainables.datasets import Splits
from trainables.decoding import encode
from trainables.loop import joint_steps
from trainables.replica_state import ReplicaState
from trainables.watch import Check, unwatched

logger = logging.getLogger(__name__)

Joining: TypeAlias = Literal["auto", "always", "never"]

STEPS: Final = 3


def obstacle(config: TrialConfig, model: nn.Module) -> str | None:
    """Say why replicas cannot be trained as one computation; None if they can."""
    if len(config.seeds) == 1:
        return "there is one replica"
    if has_dropout(model):
        return "what is dropped is drawn from one generator for all replicas"
    attribution = getattr(config.method, "attribution", None)
    if attribution is not None and not isinstance(attribution, EpsilonLrp):
        return f"attribution {attribution.name!r} looks into the layers of one network"
    return None


def is_faster_together(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    cache: Path,
    check: Check = unwatched,
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
    file = cache / "together" / f"{_shape(config, device)}.json"
    return remembered(file, lambda: gain_together(config, data, states, check))


def remembered(file: Path, measure: Callable[[], float]) -> bool:
    """Tell whether a gain is above 1: from a file, or by measuring it and writing the file."""
    if file.exists():
        return bool(json.loads(file.read_text(encoding="utf-8"))["is_faster"])
    try:
        gain = measure()
    except torch.OutOfMemoryError:
        gain = 0.0
    logger.info("replicas at once are %.2f times as fast as by turns", gain)
    _keep(file, gain)
    return gain > 1


def gain_together(
    config: TrialConfig,
    data: Sequence[Splits],
    states: Sequence[ReplicaState],
    check: Check = unwatched,
) -> float:
    """Measure how many times as fast the replicas train as one computation; on copies.

    Returns:
        Seconds one after the other ÷ seconds at once, the median of several rounds.
    """
    copies = copy.deepcopy(tuple(states))
    at_once = (together(config, data, copy.deepcopy(copies)),)
    by_turns = tuple(alone(d, s) for d, s in zip(data, copies, strict=True))
    times = in_turn(
        {
            name: timed_steps(config, cohorts, check)
            for name, cohorts in (("by turns", by_turns), ("at once", at_once))
        }
    )
    return ratio(times["by turns"], to=times["at once"]).median


def timed_steps(
    config: TrialConfig, cohorts: Sequence[Cohort], check: Check = unwatched
) -> Callable[[], float]:
    """Give what trains each cohort for some steps more and says how many seconds they took."""
    runs = [_endless(config, cohort, check) for cohort in cohorts]
    device = cohorts[0].device

    def run() -> float:
        began = time.perf_counter()
        for steps in runs:
            for _ in islice(steps, STEPS):
                pass
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    return run


def _endless(config: TrialConfig, cohort: Cohort, check: Check) -> Iterator[None]:
    while True:
        yield from joint_steps(config, cohort, check)


def _shape(config: TrialConfig, device: torch.device) -> str:
    """Name what the answer depends on; the values of a method's numbers are no part of it."""
    parts = encode(config)
    facts = {
        **{name: parts[name] for name in ("dataset", "model")},
        "batch_size": config.training.batch_size,
        "optimiser": config.training.optimiser.name,
        "precision": config.training.precision,
        "method": config.method.name,
        "replicas": len(config.seeds),
        "device": torch.cuda.get_device_name(device),
        "torch": version("torch"),
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _keep(file: Path, gain: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{time.time_ns()}.tmp")
    partial.write_text(json.dumps({"is_faster": gain > 1, "gain": gain}), encoding="utf-8")
    partial.replace(file)
