"""Evaluation of a model: all metrics, under the keys of reports."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.attribution.gradients import eval_mode
from trainables.batch import Labels
from trainables.datasets import Samples
from trainables.filter_cosine import filter_cosine
from trainables.metrics import METRICS, auc_classes

# Bound the memory of an evaluation; large enough to fill a device.
_BATCH_SIZE = 1000
_BATCH_FEATURES = 10_000_000


def evaluate(model: nn.Module, samples: Samples, prefix: str) -> dict[str, float]:
    """Compute every metric on some samples, with one transfer from the device.

    ``auc_classes`` is the number of classes over which the AUC is averaged. The model runs in
    eval mode, and its mode is restored.

    Returns:
        ``<prefix>/accuracy``, … to value.
    """
    return compute_metrics(predict_logits(model, samples), samples.targets, prefix)


def compute_metrics(
    logits: Float[Tensor, "sample classes"], targets: Labels, prefix: str
) -> dict[str, float]:
    """Compute every metric of some predictions; see :func:`evaluate`."""
    values = {name: metric.compute(logits, targets) for name, metric in METRICS.items()}
    values["auc_classes"] = auc_classes(logits, targets).double()
    stacked_values = torch.stack(list(values.values())).tolist()
    return {f"{prefix}/{name}": value for name, value in zip(values, stacked_values, strict=True)}


def predict_logits(model: nn.Module, samples: Samples) -> Float[Tensor, "sample classes"]:
    """Return the logits of samples in eval mode, the highest over a sample's views."""
    with eval_mode(model), torch.no_grad():
        parts = index_batches(samples, _BATCH_SIZE)
        return torch.cat([max_logits_over_views(model, samples.views(part)) for part in parts])


def max_logits_over_views(
    model: nn.Module, views: Float[Tensor, "view batch channel *grid"]
) -> Float[Tensor, "batch classes"]:
    """Return the highest logits over the views of samples, in the model's current mode."""
    scores: Tensor = model(views.flatten(0, 1))
    return scores.reshape(*views.shape[:2], -1).amax(0)


def index_batches(samples: Samples, size: int) -> Iterator[Int[Tensor, " batch"]]:
    """Yield the indices of all samples in order, at most ``size`` and 10⁷ features at once."""
    everything = torch.arange(len(samples), device=samples.targets.device)
    one = samples.views(everything[:1])
    yield from everything.split(max(1, min(size, _BATCH_FEATURES // one.numel())))


def filter_metrics(model: nn.Module) -> dict[str, float]:
    """Return the filters' cosine statistics per layer: mean, spread, absolute and relative.

    ``filter_cosine/mean`` and ``filter_cosine_relative/mean`` are unweighted means over layers.
    """
    layers = filter_cosine(model)
    if not layers:
        return {}
    cosine = {name: layer.mean for name, layer in layers.items()}
    relative = {name: layer.relative for name, layer in layers.items()}
    return {
        **{f"filter_cosine/{name}": value for name, value in cosine.items()},
        **{f"filter_cosine_pair_std/{name}": layer.std for name, layer in layers.items()},
        **{f"filter_cosine_absolute/{name}": layer.absolute for name, layer in layers.items()},
        **{f"filter_cosine_relative/{name}": value for name, value in relative.items()},
        "filter_cosine/mean": math.fsum(cosine.values()) / len(cosine),
        "filter_cosine_relative/mean": math.fsum(relative.values()) / len(relative),
    }
