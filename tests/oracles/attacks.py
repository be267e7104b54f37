"""FGSM and PGD as their papers write them, slowly: arXiv:1412.6572 and arXiv:1706.06083.

Plain Python numbers on the networks of :mod:`tests.oracles.challenger`; no automatic
differentiation, nothing of ``trainables``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracles.challenger import Layer, Vector, activations, softmax


def input_gradient(layers: Sequence[Layer], x: Vector, at_logits: Vector) -> Vector:
    """Propagate a gradient at the logits back to the inputs."""
    g = at_logits
    for layer, a in zip(reversed(layers), reversed(activations(layers, x)[:-1]), strict=True):
        g = layer.gradient(a, g)
    return g


def loss_gradient(layers: Sequence[Layer], x: Vector, label: int | Sequence[float]) -> Vector:
    """Differentiate the loss by the inputs: p - y for softmax and for sigmoid alike."""
    logits = activations(layers, x)[-1]
    if isinstance(label, int):
        p = softmax(logits)
        y = [float(k == label) for k in range(len(logits))]
    else:
        p = [1 / (1 + math.exp(-logit)) for logit in logits]
        y = list(label)
    return input_gradient(layers, x, [pk - yk for pk, yk in zip(p, y, strict=True)])


def sign(value: float) -> float:
    """Give -1, 0 or 1."""
    return float((value > 0) - (value < 0))


def fgsm(
    layers: Sequence[Layer], x: Vector, label: int | Sequence[float], epsilon: float
) -> Vector:
    """Compute x + ε·sign(∇ₓ J)."""
    gradient = loss_gradient(layers, x, label)
    return [xi + epsilon * sign(gi) for xi, gi in zip(x, gradient, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Ball:
    """The L∞ ball of a radius around a sample, within bounds."""

    center: tuple[float, ...]
    radius: float
    low: float = -math.inf
    high: float = math.inf

    def project(self, x: Vector) -> Vector:
        """Give the nearest point of the ball."""
        projected = []
        for xi, ci in zip(x, self.center, strict=True):
            in_ball = min(max(xi, ci - self.radius), ci + self.radius)
            projected.append(min(max(in_ball, self.low), self.high))
        return projected


def pgd(
    layers: Sequence[Layer],
    start: Vector,
    label: int | Sequence[float],
    ball: Ball,
    step: float,
    steps: int,
) -> Vector:
    """Climb from a start by signed steps, each projected onto the ball."""
    x = ball.project(start)
    for _ in range(steps):
        x = ball.project(fgsm(layers, x, label, step))
    return x
