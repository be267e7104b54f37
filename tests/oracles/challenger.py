"""Challenger as the paper writes it (arXiv:2205.15094, eqs. 3 to 5 and algorithm 1), slowly.

Plain Python numbers and loops, no automatic differentiation, nothing of ``trainables``. A network
is a list of layers; a convolution is a linear layer whose weights are shared between links.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Vector = list[float]


@dataclass(frozen=True, kw_only=True)
class Linear:
    """z_k = Σ_j a_j w_jk + b_k.

    ``links[k]`` lists (index of input j, index of the weight), ``bias_of[k]`` the bias's index.
    """

    weights: tuple[float, ...]
    biases: tuple[float, ...]
    links: tuple[tuple[tuple[int, int], ...], ...]
    bias_of: tuple[int, ...]

    def forward(self, a: Vector) -> Vector:
        """Compute the outputs z."""
        z = []
        for k, links in enumerate(self.links):
            total = self.biases[self.bias_of[k]]
            for j, w in links:
                total += a[j] * self.weights[w]
            z.append(total)
        return z

    def relevance(self, a: Vector, r: Vector, epsilon: float) -> Vector:
        """Redistribute by eq. 3, with the ε of z's own sign."""
        z = self.forward(a)
        lower = [0.0] * len(a)
        for k, links in enumerate(self.links):
            denominator = z[k] + (epsilon if z[k] >= 0 else -epsilon)
            for j, w in links:
                lower[j] += a[j] * self.weights[w] / denominator * r[k]
        return lower

    def gradient(self, _a: Vector, g: Vector) -> Vector:
        """Propagate a loss gradient to the inputs."""
        size = 1 + max(j for links in self.links for j, _ in links)
        lower = [0.0] * size
        for k, links in enumerate(self.links):
            for j, w in links:
                lower[j] += self.weights[w] * g[k]
        return lower


@dataclass(frozen=True, kw_only=True)
class Relu:
    """max(0, z); relevance passes through."""

    def forward(self, a: Vector) -> Vector:
        """Cut negative values off."""
        return [max(0.0, value) for value in a]

    def relevance(self, _a: Vector, r: Vector, _epsilon: float) -> Vector:
        """Hand relevance on unchanged."""
        return r

    def gradient(self, a: Vector, g: Vector) -> Vector:
        """Pass where the input is positive."""
        return [gk if ak > 0 else 0.0 for ak, gk in zip(a, g, strict=True)]


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """The highest input of each group; it takes all relevance."""

    groups: tuple[tuple[int, ...], ...]

    def _winner(self, a: Vector, group: tuple[int, ...]) -> int:
        best = group[0]
        for j in group:
            if a[j] > a[best]:
                best = j
        return best

    def forward(self, a: Vector) -> Vector:
        """Take the maxima."""
        return [a[self._winner(a, group)] for group in self.groups]

    def relevance(self, a: Vector, r: Vector, _epsilon: float) -> Vector:
        """Give all to the winner."""
        return self.gradient(a, r)

    def gradient(self, a: Vector, g: Vector) -> Vector:
        """Give all to the winner."""
        lower = [0.0] * len(a)
        for k, group in enumerate(self.groups):
            lower[self._winner(a, group)] += g[k]
        return lower


Layer = Linear | Relu | MaxPool


def dense(weight: Sequence[Vector], bias: Vector) -> Linear:
    """Make a fully connected layer from weights (output, input)."""
    width = len(weight[0])
    return Linear(
        weights=tuple(value for row in weight for value in row),
        biases=tuple(bias),
        links=tuple(tuple((j, k * width + j) for j in range(width)) for k in range(len(weight))),
        bias_of=tuple(range(len(weight))),
    )


def convolution(weights: Vector, bias: Vector, shape: tuple[int, int, int], kernel: int) -> Linear:
    """Make an unpadded convolution of stride 1.

    Args:
        weights: Flattened (output, input, row, column).
        bias: One per output channel.
        shape: Channels, rows and columns of the input.
        kernel: Rows and columns of a filter.
    """
    channels, rows, columns = shape
    links, bias_of = [], []
    for out in range(len(bias)):
        for y in range(rows - kernel + 1):
            for x in range(columns - kernel + 1):
                link = []
                for c in range(channels):
                    for dy in range(kernel):
                        for dx in range(kernel):
                            j = (c * rows + y + dy) * columns + x + dx
                            w = ((out * channels + c) * kernel + dy) * kernel + dx
                            link.append((j, w))
                links.append(tuple(link))
                bias_of.append(out)
    return Linear(
        weights=tuple(weights), biases=tuple(bias), links=tuple(links), bias_of=tuple(bias_of)
    )


def max_pool(shape: tuple[int, int, int], size: int) -> MaxPool:
    """Make a max pool over squares that do not overlap."""
    channels, rows, columns = shape
    groups = []
    for c in range(channels):
        for y in range(0, rows - size + 1, size):
            for x in range(0, columns - size + 1, size):
                square = [(y + dy, x + dx) for dy in range(size) for dx in range(size)]
                groups.append(tuple((c * rows + yy) * columns + xx for yy, xx in square))
    return MaxPool(groups=tuple(groups))


def activations(layers: Sequence[Layer], x: Vector) -> list[Vector]:
    """Give the input of every layer, and the logits last."""
    values = [x]
    for layer in layers:
        values.append(layer.forward(values[-1]))
    return values


def relevance(layers: Sequence[Layer], x: Vector, target: int, epsilon: float) -> Vector:
    """Compute h of algorithm 1: eq. 3 from the logit of one class down to the inputs."""
    values = activations(layers, x)
    logits = values[-1]
    r = [logit if k == target else 0.0 for k, logit in enumerate(logits)]
    for layer, a in zip(reversed(layers), reversed(values[:-1]), strict=True):
        r = layer.relevance(a, r, epsilon)
    return r


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The constants of algorithm 1; ``of_target`` explains the label in place of rank k."""

    n_features: int
    alpha: float
    beta: float
    part_a: float
    part_b: float
    epsilon: float
    of_target: bool = False


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What algorithm 1 draws: rank k (0 is the top class) and the side, for each sample."""

    ranks: tuple[int, ...]
    takes_highest: tuple[bool, ...]


def perturb(
    layers: Sequence[Layer],
    inputs: Sequence[Vector],
    targets: Sequence[int],
    settings: Settings,
    draws: Draws,
) -> list[Vector]:
    """Take lines 3 to 6 of algorithm 1."""
    n_a = math.floor(settings.part_a * len(inputs))
    n_b = math.floor(settings.part_b * len(inputs))
    changed = []
    for i, x in enumerate(inputs):
        if i >= n_a + n_b:
            changed.append(list(x))
            continue
        logits = activations(layers, list(x))[-1]
        by_rank = sorted(range(len(logits)), key=lambda k: -logits[k])
        explained = targets[i] if settings.of_target else by_rank[draws.ranks[i]]
        r = relevance(layers, list(x), explained, settings.epsilon)
        by_relevance = sorted(range(len(x)), key=lambda j: r[j])
        n = settings.n_features
        chosen = by_relevance[-n:] if draws.takes_highest[i] else by_relevance[:n]
        new = list(x)
        for j in chosen:
            new[j] = new[j] - settings.alpha if i < n_a else new[j] + settings.beta
        changed.append(new)
    return changed


def training_step(
    layers: Sequence[Layer], inputs: Sequence[Vector], targets: Sequence[int], lr: float
) -> tuple[list[Layer], float]:
    """Take lines 7 and 8: mean cross entropy and one step of gradient descent.

    Returns:
        The new layers and the loss before the step.
    """
    weight_steps = [[0.0] * len(x.weights) if isinstance(x, Linear) else [] for x in layers]
    bias_steps = [[0.0] * len(x.biases) if isinstance(x, Linear) else [] for x in layers]
    loss = 0.0
    for x, target in zip(inputs, targets, strict=True):
        values = activations(layers, list(x))
        probabilities = softmax(values[-1])
        loss -= math.log(probabilities[target]) / len(inputs)
        g = [(p - (k == target)) / len(inputs) for k, p in enumerate(probabilities)]
        for depth in reversed(range(len(layers))):
            layer, a = layers[depth], values[depth]
            if isinstance(layer, Linear):
                for k, links in enumerate(layer.links):
                    bias_steps[depth][layer.bias_of[k]] += g[k]
                    for j, w in links:
                        weight_steps[depth][w] += a[j] * g[k]
            g = layer.gradient(a, g)
    stepped: list[Layer] = []
    for layer, of_weights, of_biases in zip(layers, weight_steps, bias_steps, strict=True):
        if not isinstance(layer, Linear):
            stepped.append(layer)
            continue
        weights = tuple(w - lr * s for w, s in zip(layer.weights, of_weights, strict=True))
        biases = tuple(b - lr * s for b, s in zip(layer.biases, of_biases, strict=True))
        stepped.append(
            Linear(weights=weights, biases=biases, links=layer.links, bias_of=layer.bias_of)
        )
    return stepped, loss


def softmax(logits: Vector) -> Vector:
    """Turn logits into probabilities."""
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]
