"""Evaluation on the test split, once, after the last epoch of a final trial."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.batch import Labels, is_multi_label
from trainables.bootstrap import Resampling, bootstrap_interval
from trainables.config import EvaluationConfig
from trainables.datasets import Splits
from trainables.evaluation import compute_metrics, predict_logits
from trainables.metrics import METRICS
from trainables.object_relevance import object_relevance
from trainables.occlusion import occlusion_metric, occlusion_metrics
from trainables.seeding import stream

BOOTSTRAPPED = ("accuracy", "auc")
"""Metrics with a bootstrap interval."""


def evaluate_final(
    config: EvaluationConfig, model: nn.Module, data: Splits, seed: int
) -> dict[str, float]:
    """Compute the metrics of the test split, and the intervals and occlusion tests of ``config``.

    Args:
        config: Settings of the evaluation.
        model: Trained network, which is left as it is.
        data: Splits; of the training split only the labels are used.
        seed: Seed of the replica, from which the tests' random streams are derived.

    Returns:
        ``test/accuracy``, …; ``test/majority_accuracy`` and their number ``test/samples`` unless
        the data are multi-label;
        ``test_bootstrap/…``, ``occlusion/…`` and ``test/object_relevance`` if configured.
    """
    targets = data.test.targets
    logits = predict_logits(model, data.test)
    metrics = compute_metrics(logits, targets, "test")
    if not is_multi_label(targets):
        metrics["test/majority_accuracy"] = majority_accuracy(data.train.targets, targets)
        metrics["test/samples"] = float(len(targets))
    metrics |= _bootstrap(config.bootstrap_resamples, logits, targets, metrics, seed)
    if config.occlusion:
        metrics["occlusion/none"] = metrics[f"test/{occlusion_metric(targets)}"]
        generator = stream(seed, "occlusion", device=logits.device)
        metrics |= occlusion_metrics(model, data.test, config.occlusion, generator)
    if config.object_relevance:
        metrics["test/object_relevance"] = object_relevance(model, data.test)
    return metrics


def majority_accuracy(train: Int[Tensor, " train"], test: Int[Tensor, " test"]) -> float:
    """Return the accuracy of always predicting the most frequent class of the training split.

    Ties are broken by the lowest class index.
    """
    return float((test == torch.bincount(train).argmax()).double().mean())


def _bootstrap(
    n_resamples: int,
    logits: Float[Tensor, "sample classes"],
    targets: Labels,
    metrics: Mapping[str, float],
    seed: int,
) -> dict[str, float]:
    # Non-finite predictions have no interval; the trial fails by its test metrics.
    if n_resamples == 0 or not all(math.isfinite(metrics[f"test/{name}"]) for name in METRICS):
        return {}
    found = {
        name: bootstrap_interval(
            METRICS[name].compute,
            logits,
            targets,
            stream(seed, "bootstrap", device=logits.device),
            Resampling(n_resamples=n_resamples),
        )
        for name in BOOTSTRAPPED
    }
    ends = {
        f"test_bootstrap/{name}/{end}": getattr(interval, end)
        for name, interval in found.items()
        for end in ("low", "high")
    }
    used = min(interval.n_resamples for interval in found.values())
    return {**ends, "test_bootstrap/resamples": float(used)}
