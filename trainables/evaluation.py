"""All metrics of a model at one moment, under the keys that reports use."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.target import evaluation_mode
from trainables.datasets import Samples
from trainables.filters import filter_cosine
from trainables.metrics import METRICS

# Bounds the memory of an evaluation; large enough to fill a device.
_BATCH_SIZE = 1000


def evaluate(model: nn.Module, samples: Samples, prefix: str) -> dict[str, float]:
    """Compute every metric on some samples, with one transfer from the device.

    Args:
        model: Network; evaluated in eval mode, its mode is restored.
        samples: Samples to evaluate.
        prefix: Name of the split, ``val`` or ``test``.

    Returns:
        ``val/accuracy``, … to value.
    """
    logits = predict(model, samples)
    values = torch.stack([m.compute(logits, samples.targets) for m in METRICS.values()])
    return {f"{prefix}/{name}": v for name, v in zip(METRICS, values.tolist(), strict=True)}


def predict(model: nn.Module, samples: Samples) -> Float[Tensor, "sample classes"]:
    """Compute the logits of some samples in eval mode."""
    with evaluation_mode(model), torch.no_grad():
        return torch.cat([model(inputs) for inputs in samples.inputs.split(_BATCH_SIZE)])


def filter_metrics(model: nn.Module) -> dict[str, float]:
    """Describe the filters: signed mean, spread over pairs and relation to chance, per layer.

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
        **{f"filter_cosine_relative/{name}": value for name, value in relative.items()},
        "filter_cosine/mean": math.fsum(cosine.values()) / len(cosine),
        "filter_cosine_relative/mean": math.fsum(relative.values()) / len(relative),
    }
