"""Classification metrics, computed in float64 on the device of the logits.

All take logits ``(sample, classes)`` and either class indices or, for multi-label data, 0 or 1 per
class; the latter have their metrics per label, averaged over the labels. All are NaN if any logit
is NaN or infinite. Calibration follows the code published by the paper's first author: ten
equal-width bins over the top probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from trainables.batch import Labels, is_multi_label
from trainables.fields import Direction

Logits = Float[Tensor, "sample classes"]
P = ParamSpec("P")


def undefined_unless_finite(
    metric: Callable[Concatenate[Tensor, P], Tensor],
) -> Callable[Concatenate[Tensor, P], Tensor]:
    """Make a metric NaN where any logit is NaN or infinite, without waiting for the device."""

    @wraps(metric)
    def checked(logits: Tensor, /, *rest: P.args, **options: P.kwargs) -> Tensor:
        value = metric(logits, *rest, **options)
        return torch.where(logits.isfinite().all(), value, math.nan)

    return checked


@undefined_unless_finite
def accuracy(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Return the fraction of samples whose highest logit is their class's.

    For multi-label data the fraction of correct labels at a threshold of one half.
    """
    if is_multi_label(targets):
        return ((logits > 0) == (targets > 0.5)).double().mean()
    return (logits.argmax(1) == targets).double().mean()


@undefined_unless_finite
def nll(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Mean negative log-likelihood, in nats per sample, or per sample and label."""
    if is_multi_label(targets):
        return functional.binary_cross_entropy_with_logits(logits.double(), targets.double())
    return functional.cross_entropy(logits.double(), targets)


@undefined_unless_finite
def brier(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Brier score summed over the classes: in [0, 2], or [0, C] for multi-label data."""
    return _squared_errors(logits, targets).sum(1).mean()


@undefined_unless_finite
def brier_mean(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Brier score averaged over the classes: the paper's column."""
    return _squared_errors(logits, targets).mean()


@undefined_unless_finite
def ece(logits: Logits, targets: Labels, *, bins: int = 10) -> Float[Tensor, ""]:
    """Expected calibration error of the top label, in [0, 1].

    For multi-label data that of each label's probability, averaged over the labels.

    Args:
        logits: Scores per class.
        targets: Classes.
        bins: Number of equal-width bins of the confidence; each is closed at its right end.

    References:
        Guo et al., ICML 2017, eq. 3.
    """
    if is_multi_label(targets):
        confidence, correct = logits.double().sigmoid(), targets.double()
    else:
        top, predicted = logits.double().softmax(1).max(1, keepdim=True)
        confidence, correct = top, (predicted == targets[:, None]).double()
    index = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = confidence.new_zeros(bins, confidence.shape[1])
    # A bin's |accuracy - confidence| weighted by its share is |sum of differences| / n.
    gaps.scatter_add_(0, index, correct - confidence)
    return gaps.abs().sum(0).mean() / len(targets)


def ece15(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Expected calibration error of the top label with 15 bins, in [0, 1]; see :func:`ece`."""
    return ece(logits, targets, bins=15)


@undefined_unless_finite
def auc(logits: Logits, targets: Labels) -> Float[Tensor, ""]:
    """Macro average over the classes of the one-versus-rest area under the ROC curve.

    Scores are the probabilities of :func:`trainables.metrics.probabilities`. Classes that no
    sample or every sample belongs to have no area and are left out (:func:`auc_classes` counts
    the others); NaN if that leaves none. Tied scores count one half.
    """
    is_class = _indicators(logits, targets)
    positives = is_class.sum(0)
    negatives = len(targets) - positives
    rank_sum = (_average_ranks(probabilities(logits, targets)) * is_class).sum(0)
    areas = (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)
    return areas[(positives > 0) & (negatives > 0)].mean()


def auc_classes(logits: Logits, targets: Labels) -> Int[Tensor, ""]:
    """Count the classes that :func:`auc` averages over: those with and without samples."""
    positives = _indicators(logits, targets).sum(0)
    return ((positives > 0) & (positives < len(targets))).sum()


def probabilities(logits: Logits, targets: Labels) -> Float[Tensor, "sample classes"]:
    """Turn logits into probabilities: a softmax, or a sigmoid per label for multi-label data."""
    doubles = logits.double()
    return doubles.sigmoid() if is_multi_label(targets) else doubles.softmax(1)


def _indicators(logits: Tensor, targets: Tensor) -> Tensor:
    if is_multi_label(targets):
        return targets.double()
    return functional.one_hot(targets, logits.shape[1]).double()


def _average_ranks(scores: Tensor) -> Tensor:
    # Rank from 1, ties sharing their mean: the number below plus half of the others equal.
    columns = scores.T.contiguous()
    ordered = columns.sort(1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return ((below + up_to + 1).double() / 2).T


def _squared_errors(logits: Tensor, targets: Tensor) -> Tensor:
    return (probabilities(logits, targets) - _indicators(logits, targets)).square()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The unit and the format of a metric's values.

    Attributes:
        name: ``%``, ``nats`` or empty.
        of_difference: Unit of a difference of two values: ``percentage points``.
        factor: Displayed number over stored number; 100 for percent.
        digits: Displayed decimals.
    """

    name: str = ""
    of_difference: str = ""
    factor: float = 1.0
    digits: int = 3


PER_CENT = Unit(name="%", of_difference="percentage points", factor=100.0, digits=1)
NATS = Unit(name="nats", of_difference="nats")
PLAIN = Unit()
COUNT = Unit(digits=0)
# Means over a layer's pairs are small: three decimals would show most of them as 0.
COSINE = Unit(digits=4)

Compute: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric's label, unit and direction.

    Attributes:
        label: Name in figures and tables, without the split: ``accuracy``.
        unit: Unit of its values.
        direction: ``maximize`` if larger values are better.
    """

    label: str
    unit: Unit = PLAIN
    direction: Direction

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is better."""
        return self.direction == "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Metric):
    """A metric of predictions.

    Attributes:
        compute: Function of logits and targets.
    """

    compute: Compute


METRICS: dict[str, Score] = {
    "accuracy": Score(label="accuracy", unit=PER_CENT, direction="maximize", compute=accuracy),
    "auc": Score(label="AUC", unit=PER_CENT, direction="maximize", compute=auc),
    "nll": Score(label="NLL", unit=NATS, direction="minimize", compute=nll),
    "brier": Score(label="Brier score (sum)", direction="minimize", compute=brier),
    "brier_mean": Score(label="Brier score", direction="minimize", compute=brier_mean),
    "ece10": Score(label="ECE (10 bins)", direction="minimize", compute=ece),
    "ece15": Score(label="ECE (15 bins)", direction="minimize", compute=ece15),
}
"""Metrics of every evaluation, by which studies may compare trials."""

REPORTED: dict[str, Metric] = {
    "loss": Metric(label="loss", unit=NATS, direction="minimize"),
    "majority_accuracy": Metric(
        label="accuracy of the majority class", unit=PER_CENT, direction="maximize"
    ),
    "object_relevance": Metric(
        label="relevance inside the object", unit=PER_CENT, direction="maximize"
    ),
    "samples": Metric(label="samples", unit=COUNT, direction="maximize"),
    "auc_classes": Metric(label="classes behind the AUC", unit=COUNT, direction="maximize"),
}
"""Further metrics of reports."""

FILTERS: dict[str, Metric] = {
    key: Metric(label=label, unit=COSINE, direction="minimize")
    for key, label in (
        ("filter_cosine", "filter cosine"),
        ("filter_cosine_pair_std", "deviation of the filter cosine over pairs"),
        ("filter_cosine_absolute", "|filter cosine|"),
        ("filter_cosine_relative", "|filter cosine| over its value for random filters"),
    )
}
"""Metrics of each layer's filters; more diverse ones are better."""
