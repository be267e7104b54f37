"""Calibration and similarity, written from their definitions with NumPy loops."""

from __future__ import annotations

import itertools

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits (sample, classes) into probabilities, in float64."""
    powers = np.exp(logits.astype(float) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def expected_calibration_error(logits: np.ndarray, targets: np.ndarray, bins: int) -> float:
    """Weigh |accuracy - confidence| over the bins (low, high] (Guo et al. 2017, eq. 3)."""
    probabilities = softmax(logits)
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == targets
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    return float(error)


def pair_cosines(rows: np.ndarray) -> np.ndarray:
    """Cosine of every pair of different rows, 0 where one of them is zero."""
    values = []
    for i in range(len(rows)):
        for j in range(i):
            norm = np.linalg.norm(rows[i]) * np.linalg.norm(rows[j])
            values.append(rows[i] @ rows[j] / norm if norm else 0.0)
    return np.array(values)


def one_label_calibration_error(probability: np.ndarray, truth: np.ndarray, bins: int) -> float:
    """Weigh |share of ones - mean probability| over the bins (low, high] of one label."""
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (probability > low) & (probability <= high)
        if inside.any():
            error += inside.mean() * abs(truth[inside].mean() - probability[inside].mean())
    return float(error)
