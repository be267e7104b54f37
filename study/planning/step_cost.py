"""The time and the memory of a training step, measured on this machine with random samples."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainables.config import TrialConfig
from trainables.datasets import DatasetInfo, Splits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.loop import group_steps, init_replica
from trainables.replica_group import ReplicaGroup, single_group

_LEAST_STEPS: Final = 3
_LEAST_S: Final = 0.2
# Larger batches are scaled from these: time in proportion, memory by its slope.
_LARGEST_BATCH: Final = 32


def measure_seconds(config: TrialConfig, batch_size: int, n_threads: int) -> float:
    """Return the median time of some steps of a configuration on the CPU, with its method.

    The time of more than 32 samples is taken to be in proportion to theirs.

    Args:
        config: Settings of the trial.
        batch_size: Samples of a step.
        n_threads: Threads of torch.
    """
    before, tried = torch.get_num_threads(), min(batch_size, _LARGEST_BATCH)
    torch.set_num_threads(n_threads)
    try:
        group = _group(config, tried)
        times: list[float] = []
        while len(times) < _LEAST_STEPS or sum(times) < _LEAST_S:
            began = time.perf_counter()
            _run(config, group)
            times.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    return statistics.median(times) * batch_size / tried


def measure_memory(config: TrialConfig, batch_size: int) -> int:
    """Return the largest size of all tensors that are alive during a step, in bytes.

    They are weights, gradients, the optimizer's state and activations.

    Args:
        config: Settings of the trial.
        batch_size: Samples of a step; of more than 32 it is extrapolated from 16 and 32.
    """
    if batch_size <= _LARGEST_BATCH:
        return _peak(config, batch_size)
    half, whole = (_peak(config, size) for size in (_LARGEST_BATCH // 2, _LARGEST_BATCH))
    slope = (whole - half) / (_LARGEST_BATCH - _LARGEST_BATCH // 2)
    return round(whole + slope * (batch_size - _LARGEST_BATCH))


def _peak(config: TrialConfig, batch_size: int) -> int:
    group = _group(config, batch_size)
    with _LiveMemory() as memory:
        _run(config, group)
    peak: int = memory.peak
    return peak


def _group(config: TrialConfig, batch_size: int) -> ReplicaGroup:
    samples = _random_samples(config.dataset.info, batch_size)
    state = init_replica(config, config.dataset.info, 0, torch.device("cpu"))
    return single_group(Splits(train=samples, val=samples, test=samples), state)


def _run(config: TrialConfig, group: ReplicaGroup) -> None:
    for _ in group_steps(config, group):
        pass


def _random_samples(info: DatasetInfo, count: int) -> TensorSamples:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % info.n_classes
    if info.is_multi_label:
        targets = nn.functional.one_hot(targets, info.n_classes).float()
    inputs = info.spread * torch.rand((count, *info.input_shape), generator=generator)
    return TensorSamples(inputs=inputs, targets=targets)


class _LiveMemory(TorchDispatchMode):
    """Counts the storages of tensors that are alive, and keeps the largest sum in ``peak``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._live = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (torch's)
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        del types
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, result)):
            if isinstance(value, Tensor):
                self._note(value)
        return result

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self._live += size
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size
