"""AttnLRP as the paper writes it (arXiv:2402.05602, section 3), layer by layer, slowly.

numpy in double precision, no automatic differentiation, nothing of ``trainables``. Arrays are
``(token, feature)``; a layer's ``forward`` keeps what its ``relevance`` needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Array = np.ndarray


class Layer(Protocol):
    """A layer that propagates values up and relevance down."""

    def forward(self, x: Array) -> Array:
        """Compute the outputs."""
        ...

    def relevance(self, r: Array) -> Array:
        """Redistribute the outputs' relevance over the inputs of the last forward pass."""
        ...


def _divided(r: Array, z: Array, epsilon: float) -> Array:
    """Return R / (z + ε·sign z); where z is 0 there is no relevance."""
    signed = z + np.where(z >= 0, epsilon, -epsilon)
    return np.divide(r, signed, out=np.zeros_like(r), where=signed != 0)


@dataclass
class Linear:
    """z = W a + b of every token: R_j = Σ_k a_j w_kj R_k / (z_k + ε sign z_k)."""

    weight: Array
    bias: Array
    epsilon: float = 0.0
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Compute z."""
        z = np.stack([self.weight @ a + self.bias for a in x])
        self.kept = (x, z)
        return z

    def relevance(self, r: Array) -> Array:
        """Redistribute in the proportions of the contributions."""
        x, z = self.kept
        share = _divided(r, z, self.epsilon)
        lower = np.zeros_like(x)
        for token in range(len(x)):
            for j in range(x.shape[1]):
                lower[token, j] = x[token, j] * (self.weight[:, j] @ share[token])
        return lower


@dataclass
class LayerNorm:
    """y_j = γ_j (x_j − μ) / σ + β_j, linear in x for a constant σ (proposition 3.4)."""

    weight: Array
    bias: Array
    eps: float
    epsilon: float = 0.0
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Normalize."""
        n = x.shape[1]
        sigma = np.sqrt(x.var(1) + self.eps)
        matrices = [self.weight[:, None] * (np.eye(n) - 1 / n) / s for s in sigma]
        y = np.stack([m @ a + self.bias for m, a in zip(matrices, x, strict=True)])
        self.kept = (x, y, matrices)
        return y

    def relevance(self, r: Array) -> Array:
        """Redistribute as a linear layer does."""
        x, y, matrices = self.kept
        share = _divided(r, y, self.epsilon)
        return np.stack([a * (m.T @ s) for a, m, s in zip(x, matrices, share, strict=True)])


@dataclass
class Activation:
    """An element-wise function: relevance passes through (equation 9)."""

    function: Any

    def forward(self, x: Array) -> Array:
        """Apply it."""
        return self.function(x)

    def relevance(self, r: Array) -> Array:
        """Hand relevance on unchanged."""
        return r


def gelu(x: Array) -> Array:
    """Compute x Φ(x)."""
    return np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


def silu(x: Array) -> Array:
    """Compute x σ(x)."""
    return x / (1 + np.exp(-x))


def softmax_relevance(x: Array, s: Array, r: Array) -> Array:
    """R_i = x_i (R_i − s_i Σ_j R_j) of every row (equation 13)."""
    return x * (r - s * r.sum(-1, keepdims=True))


def product_relevance(a: Array, v: Array, o: Array, r: Array) -> tuple[Array, Array]:
    """R_ji(A) = Σ_p A_ji V_ip R_jp / (2 O_jp), and the same of V (equation 15)."""
    share = _divided(r, o, 0.0) / 2
    of_a, of_v = np.zeros_like(a), np.zeros_like(v)
    for j in range(a.shape[0]):
        for i in range(a.shape[1]):
            part = a[j, i] * v[i] * share[j]
            of_a[j, i] += part.sum()
            of_v[i] += part
    return of_a, of_v


@dataclass
class Attention:
    """Multi-head self-attention; projections without ε."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    heads: int
    is_constant: bool = False
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Attend."""
        q, k, v = (layer.forward(x) for layer in (self.query, self.key, self.value))
        width = q.shape[1] // self.heads
        parts, outputs = [], []
        for head in range(self.heads):
            own = slice(head * width, (head + 1) * width)
            scores = q[:, own] @ k[:, own].T / math.sqrt(width)
            weights = np.exp(scores - scores.max(1, keepdims=True))
            weights /= weights.sum(1, keepdims=True)
            parts.append((own, scores, weights, weights @ v[:, own]))
            outputs.append(parts[-1][3])
        self.kept = (q, k, v, parts)
        return self.out.forward(np.concatenate(outputs, 1))

    def relevance(self, r: Array) -> Array:
        """Redistribute over values, and through softmax over queries and keys."""
        q, k, v, parts = self.kept
        r = self.out.relevance(r)
        r_q, r_k, r_v = (np.zeros_like(each) for each in (q, k, v))
        for own, scores, weights, o in parts:
            r_weights, r_values = product_relevance(weights, v[:, own], o, r[:, own])
            if self.is_constant:
                r_v[:, own] = 2 * r_values
                continue
            r_v[:, own] = r_values
            r_scores = softmax_relevance(scores, weights, r_weights)
            width = q[:, own].shape[1]
            scaled = k[:, own].T / math.sqrt(width)
            r_q[:, own], r_keys = product_relevance(q[:, own], scaled, scores, r_scores)
            r_k[:, own] = r_keys.T
        return self.query.relevance(r_q) + self.key.relevance(r_k) + self.value.relevance(r_v)


@dataclass
class Gated:
    """up(x) · silu(gate(x)): half of the relevance to either factor."""

    up: Linear
    gate: Linear
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Multiply."""
        return self.up.forward(x) * silu(self.gate.forward(x))

    def relevance(self, r: Array) -> Array:
        """Redistribute half to each."""
        return self.up.relevance(r / 2) + self.gate.relevance(r / 2)


@dataclass
class Residual:
    """x + f(x): in proportion to the summands."""

    layers: Sequence[Layer]
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Add."""
        y = run(self.layers, x)
        self.kept = (x, y)
        return x + y

    def relevance(self, r: Array) -> Array:
        """Divide in proportion."""
        x, y = self.kept
        share = _divided(r, x + y, 0.0)
        return x * share + back(self.layers, y * share)


@dataclass
class Constant:
    """x + c for a parameter c, such as position embeddings, which absorbs its share."""

    added: Array
    kept: Any = None

    def forward(self, x: Array) -> Array:
        """Add."""
        self.kept = x
        return x + self.added

    def relevance(self, r: Array) -> Array:
        """Keep the part of x."""
        return self.kept * _divided(r, self.kept + self.added, 0.0)


@dataclass
class FirstToken:
    """A class token before the others, and after the layers its own row alone."""

    token: Array
    layers: Sequence[Layer] = field(default_factory=tuple)

    def forward(self, x: Array) -> Array:
        """Put the token first and return its row."""
        self._count = len(x)
        return run(self.layers, np.concatenate([self.token, x]))[:1]

    def relevance(self, r: Array) -> Array:
        """Spread from the token's row."""
        whole = np.zeros((self._count + 1, r.shape[1]))
        whole[:1] = r
        return back(self.layers, whole)[1:]


class Mean:
    """The mean over tokens."""

    def forward(self, x: Array) -> Array:
        """Average."""
        self._x = x
        return x.mean(0, keepdims=True)

    def relevance(self, r: Array) -> Array:
        """Divide in proportion."""
        return self._x / len(self._x) * _divided(r, self._x.mean(0, keepdims=True), 0.0)


def run(layers: Sequence[Layer], x: Array) -> Array:
    """Run layers in order."""
    for layer in layers:
        x = layer.forward(x)
    return x


def back(layers: Sequence[Layer], r: Array) -> Array:
    """Propagate relevance through layers in reverse."""
    for layer in reversed(layers):
        r = layer.relevance(r)
    return r


def explained(layers: Sequence[Layer], x: Array, target: int) -> Array:
    """Return the relevances of the inputs for one logit."""
    logits = run(layers, x)
    r = np.zeros_like(logits)
    r[0, target] = logits[0, target]
    return back(layers, r)
