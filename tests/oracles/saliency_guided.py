"""Saliency-guided training as its paper writes it (arXiv:2111.14338, algorithm 1), slowly.

Plain Python numbers on the networks of :mod:`tests.oracles.challenger`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.oracles.attacks import input_gradient
from tests.oracles.challenger import Layer, Vector, activations, softmax


def lowest_features(
    layers: Sequence[Layer], x: Vector, label: int, count: int, *, by_magnitude: bool
) -> list[int]:
    """Rank the features by the gradient of the label's logit and give the lowest."""
    logits = activations(layers, x)[-1]
    gradient = input_gradient(layers, x, [float(k == label) for k in range(len(logits))])
    key = [abs(g) for g in gradient] if by_magnitude else gradient
    return sorted(range(len(x)), key=lambda i: key[i])[:count]


def mask(x: Vector, features: Sequence[int], draws: Vector, n_channels: int) -> Vector:
    """Replace features by uniform draws, scaled to the range of their channel."""
    size = len(x) // n_channels
    changed = list(x)
    for i in features:
        channel = x[i // size * size : (i // size + 1) * size]
        changed[i] = min(channel) + draws[i] * (max(channel) - min(channel))
    return changed


def divergence(
    layers: Sequence[Layer], inputs: Sequence[Vector], masked: Sequence[Vector]
) -> float:
    """Average KL(f(x) ‖ f(masked x)) over the samples."""
    total = 0.0
    for x, changed in zip(inputs, masked, strict=True):
        p = softmax(activations(layers, x)[-1])
        q = softmax(activations(layers, changed)[-1])
        total += sum(pk * math.log(pk / qk) for pk, qk in zip(p, q, strict=True))
    return total / len(inputs)


def label_divergence(
    layers: Sequence[Layer], inputs: Sequence[Vector], masked: Sequence[Vector]
) -> float:
    """Average the Bernoulli divergence over samples and labels."""
    terms = []
    for x, changed in zip(inputs, masked, strict=True):
        pairs = zip(activations(layers, x)[-1], activations(layers, changed)[-1], strict=True)
        for logit, other in pairs:
            p, q = 1 / (1 + math.exp(-logit)), 1 / (1 + math.exp(-other))
            terms.append(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    return sum(terms) / len(terms)
