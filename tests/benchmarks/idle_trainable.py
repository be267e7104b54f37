"""A trial that costs nothing and writes and reports what a real one does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch

from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.decoding import encode
from trainables.ray_trainable import ChallengerTrainable
from trainables.report import Report
from trainables.runtime.attempts import append_attempt
from trainables.runtime.resource_monitor import ResourceMonitor
from trainables.trial import TrialContext

_METRICS: Final = ("train/accuracy", "train/nll", "val/accuracy", "val/nll", "val/ece")


class IdleTrainable(ChallengerTrainable):
    def _train(self, trial: TrialConfig, context: TrialContext) -> Iterator[Report]:
        return idle_reports(trial, context)


def idle_reports(config: TrialConfig, context: TrialContext) -> Iterator[Report]:
    """Report after every epoch; before all reports but the last, write a checkpoint."""
    monitor = ResourceMonitor(device=context.device, gpu_share=context.gpu_share)
    monitor.resume()
    append_attempt(context.folder, 0)
    epochs, reports = config.training.epochs, list[Report]()
    for epoch in range(1, epochs + 1):
        metrics = _metrics(config, epoch / epochs)
        reports.append(Report(epoch=epoch, metrics=metrics, usage=monitor.collect()))
        if epoch < epochs:
            checkpoint.save(context.folder, epoch, _payload(config, reports))
        yield reports[-1]


def _metrics(config: TrialConfig, share: float) -> Mapping[str, tuple[float, ...]]:
    """Return a surface over two dimensions, which a sampler can model."""
    method = encode(config.method)
    height = 0.9 - ((method["alpha"] - 0.6) ** 2 + (method["beta"] - 1.2) ** 2) / 8
    return dict.fromkeys(_METRICS, (height - 0.3 * (1 - share),) * len(config.seeds))


def _payload(config: TrialConfig, reports: list[Report]) -> dict[str, Any]:
    return {
        "config_hash": config.hash(),
        "replicas": [{"weights": torch.zeros(16)} for _ in config.seeds],
        "reports": [(report.epoch, dict(report.metrics)) for report in reports],
        "usage": [dict(report.usage) for report in reports],
        "trained_s": 0.0,
    }
