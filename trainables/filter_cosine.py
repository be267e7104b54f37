"""Cosine similarity of the filters of a layer, the paper's measure of their diversity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFilterCosine:
    """Cosine over all pairs of different filters of one layer.

    Attributes:
        mean: Mean of the signed cosine, in [-1, 1]; lower is more diverse.
        std: Standard deviation of the signed cosine over the pairs (population form).
        absolute: Mean absolute cosine, in [0, 1].
        relative: ``absolute`` divided by its expectation √(2 / πd) for random filters of d
            weights: 1 is chance, and comparable across layers.
    """

    mean: float
    std: float
    absolute: float
    relative: float


def filter_cosine(model: nn.Module) -> dict[str, LayerFilterCosine]:
    """Compare the filters within each convolution of a model, biases left out.

    Returns:
        ``conv1``, ``conv2``, … in the order of ``model.modules()`` to the statistics of that
        layer. Layers with fewer than two filters are left out. A filter that is all zeros has
        cosine 0 with every other.

    References:
        Tomani and Cremers, arXiv:2205.15094, table 1: signed, off-diagonal pairs of flattened
        filters reproduce its standard deviation of 1/3 for a 3 × 3 layer of one channel.

    Example:
        >>> layer = nn.Conv2d(1, 2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1))
        >>> filter_cosine(layer)["conv1"].mean
        -1.0
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    return {
        f"conv{i}": _statistics(layer.weight.detach().flatten(1))
        for i, layer in enumerate(layers, start=1)
        if layer.out_channels >= 2
    }


def _statistics(rows: Float[Tensor, "filter weight"]) -> LayerFilterCosine:
    unit = torch.nn.functional.normalize(rows.double(), dim=1, eps=1e-12)
    gram = unit @ unit.T
    count = len(rows)
    upper = torch.triu_indices(count, count, offset=1, device=rows.device)
    pairs = gram[upper[0], upper[1]]
    chance = math.sqrt(2 / (math.pi * rows.shape[1]))
    mean, std, absolute = torch.stack(
        [pairs.mean(), pairs.std(correction=0), pairs.abs().mean()]
    ).tolist()
    return LayerFilterCosine(mean=mean, std=std, absolute=absolute, relative=absolute / chance)
