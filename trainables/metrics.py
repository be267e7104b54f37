"""Classification metrics, computed in float64 on the device of the logits.

All take logits ``(sample, classes)`` and class indices. Calibration follows the code published
by the paper's first author: ten equal-width bins over the top probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Logits = Float[Tensor, "sample classes"]
Targets = Int[Tensor, " sample"]


def accuracy(logits: Logits, targets: Targets) -> Float[Tensor, ""]:
    """Share of samples whose highest logit is their class's, in [0, 1]."""
    return (logits.argmax(1) == targets).double().mean()


def nll(logits: Logits, targets: Targets) -> Float[Tensor, ""]:
    """Mean negative log-likelihood, in nats per sample."""
    return torch.nn.functional.cross_entropy(logits.double(), targets)


def brier(logits: Logits, targets: Targets) -> Float[Tensor, ""]:
    """Brier score summed over the classes, in [0, 2]."""
    return _squared_errors(logits, targets).sum(1).mean()


def brier_mean(logits: Logits, targets: Targets) -> Float[Tensor, ""]:
    """Brier score averaged over the classes: the paper's column."""
    return _squared_errors(logits, targets).mean()


def ece(logits: Logits, targets: Targets, *, bins: int = 10) -> Float[Tensor, ""]:
    """Expected calibration error of the top label, in [0, 1].

    Args:
        logits: Scores per class.
        targets: Class indices.
        bins: Number of equal-width bins of the confidence; each is closed at its right end.

    References:
        Guo et al., ICML 2017, eq. 3.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    correct = (predicted == targets).double()
    index = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64, device=logits.device)
    # A bin's |accuracy - confidence| weighted by its share is |sum of differences| / n.
    gaps.index_add_(0, index, correct - confidence)
    return gaps.abs().sum() / len(targets)


def auc(logits: Logits, targets: Targets) -> Float[Tensor, ""]:
    """Macro average over the classes of the one-versus-rest area under the ROC curve.

    Scores are the softmax probabilities. Classes that no sample or every sample belongs to have
    no area and are left out; NaN if that leaves none. Tied scores count one half.
    """
    scores = logits.double().softmax(1)
    is_class = torch.nn.functional.one_hot(targets, scores.shape[1]).double()
    positives = is_class.sum(0)
    negatives = len(targets) - positives
    rank_sum = (_average_ranks(scores) * is_class).sum(0)
    areas = (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)
    return areas[(positives > 0) & (negatives > 0)].mean()


def _average_ranks(scores: Tensor) -> Tensor:
    # Rank from 1, ties sharing their mean: the number below plus half of the others equal.
    columns = scores.T.contiguous()
    ordered = columns.sort(1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return ((below + up_to + 1).double() / 2).T


def _squared_errors(logits: Tensor, targets: Tensor) -> Tensor:
    probabilities = logits.double().softmax(1)
    one_hot = torch.nn.functional.one_hot(targets, logits.shape[1])
    return (probabilities - one_hot).square()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric that knows its direction.

    Attributes:
        compute: Function of logits and targets.
        higher_is_better: Whether a larger value is better.
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    higher_is_better: bool


METRICS = {
    "accuracy": Metric(compute=accuracy, higher_is_better=True),
    "auc": Metric(compute=auc, higher_is_better=True),
    "nll": Metric(compute=nll, higher_is_better=False),
    "brier": Metric(compute=brier, higher_is_better=False),
    "brier_mean": Metric(compute=brier_mean, higher_is_better=False),
    "ece10": Metric(compute=ece, higher_is_better=False),
    "ece15": Metric(compute=lambda x, y: ece(x, y, bins=15), higher_is_better=False),
}
