"""Labels of dimensions, metrics and arms: names, symbols, units and directions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = [
    "Direction",
    "MetricLabel",
    "arm_label",
    "dimension_axis",
    "dimension_symbol",
    "metric_label",
    "order_label",
]

_DIMENSIONS = MappingProxyType(
    {
        "top_k": ("K", "Classes whose attribution may be drawn, K"),
        "n_features": ("N", "Challenged input features, N"),
        "alpha": ("α", "Decrease of a challenged feature, α"),
        "beta": ("β", "Increase of a challenged feature, β"),
        "split": ("split", "Changed share of a batch"),
        "a_fraction": ("A share", "Share of the challenged samples that are lowered"),
        "attribution": ("attribution", "Attribution that ranks the features"),
        "budget": ("ε", "Radius of the attack, ε"),
        "steps": ("steps", "Steps of the attack"),
        "step_size": ("step", "Step of the attack as a share of ε"),
        "concentration": ("a", "Concentration of the mixing share, a"),
        "probability": ("p", "Probability of a change, p"),
        "max_area": ("largest area", "Largest erased share of an image"),
        "mix": ("chance", "Weight of chance beside relevance"),
        "threshold": ("threshold", "Score from which a position is dropped"),
        "masked_fraction": ("masked", "Masked share of the features"),
        "weight": ("λ", "Weight of the divergence, λ"),
    }
)


def dimension_symbol(dimension: str) -> str:
    """Return the paper's symbol of a dimension, or its own name: ``top_k`` is K."""
    return _DIMENSIONS.get(dimension, (dimension, dimension))[0]


def dimension_axis(dimension: str) -> str:
    """Return the axis label of a dimension."""
    return _DIMENSIONS.get(dimension, (dimension, dimension))[1]


Direction: TypeAlias = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLabel:
    """Label of a metric.

    Attributes:
        name: Name with the split: ``test accuracy``.
        unit: ``%``, ``nats`` or empty.
        difference_unit: Unit of a difference of two values: ``percentage points``.
        factor: Displayed number over stored number; 100 for per cent.
        digits: Decimals displayed.
        direction: Whether more is better.
    """

    name: str
    unit: str
    difference_unit: str
    factor: float
    digits: int
    direction: Direction

    @property
    def title(self) -> str:
        """Name with its first letter in upper case, for a title."""
        return self.name[0].upper() + self.name[1:]

    @property
    def axis(self) -> str:
        """Title with unit, for an axis or the head of a column."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


_PER_CENT = ("%", "percentage points", 100.0, 1)
_NATS = ("nats", "nats", 1.0, 3)
_PLAIN = ("", "", 1.0, 3)
_COUNT = ("", "", 1.0, 0)
# Means over a layer's pairs are small: three decimals would show most of them as 0.
_COSINE = ("", "", 1.0, 4)

_METRICS: dict[str, tuple[str, tuple[str, str, float, int], Direction]] = {
    "accuracy": ("accuracy", _PER_CENT, "maximize"),
    "auc": ("AUC", _PER_CENT, "maximize"),
    "nll": ("NLL", _NATS, "minimize"),
    "brier": ("Brier score (sum)", _PLAIN, "minimize"),
    "brier_mean": ("Brier score", _PLAIN, "minimize"),
    "ece10": ("ECE (10 bins)", _PLAIN, "minimize"),
    "ece15": ("ECE (15 bins)", _PLAIN, "minimize"),
    "loss": ("loss", _NATS, "minimize"),
    "majority_accuracy": ("accuracy of the majority class", _PER_CENT, "maximize"),
    "auc_classes": ("classes behind the AUC", _COUNT, "maximize"),
}
_ENDS = {"low": "lower", "high": "upper"}
_ORDERS = {"random": "at random", "most_relevant": "most relevant first"}
_SPLITS = {"val": "validation ", "test": "test ", "train": "training "}
_FILTER_METRICS = {
    "filter_cosine": "filter cosine",
    "filter_cosine_pair_std": "deviation of the filter cosine over pairs",
    "filter_cosine_absolute": "|filter cosine|",
    "filter_cosine_relative": "|filter cosine| over its value for random filters",
}
_METHODS = {
    "base": "Base",
    "base_finetune": "Base, fine-tuned",
    "cutmix": "CutMix",
    "random": "Random",
    "challenger": "Challenger",
    "fgsm": "FGSM",
    "mixup": "MixUp",
    "pgd": "PGD",
    "random_erasing": "Random Erasing",
    "reldrop": "RelDrop",
    "saliency_guided": "Saliency Guided",
}


def metric_label(key: str) -> MetricLabel:
    """Return the label of a metric key; an unknown key is its own label, to be maximized.

    Filter cosines are better when lower: more diverse filters.

    Example:
        >>> metric_label("test/accuracy").axis
        'Test accuracy [%]'
    """
    group, _, last = key.partition("/")
    if group in _FILTER_METRICS:
        layer = "mean over layers" if last == "mean" else last
        return _label(f"{_FILTER_METRICS[group]}, {layer}", _COSINE, "minimize")
    if group in _SPLITS and last in _METRICS:
        name, style, way = _METRICS[last]
        return _label(_SPLITS[group] + name, style, way)
    if group == "test_bootstrap":
        return _bootstrap_label(key, last)
    if group == "occlusion":
        return _occlusion_label(key, last)
    return _label(key, _PLAIN, "maximize")


def order_label(order: str) -> str:
    """Return the label of the order in which positions are hidden: ``most relevant first``."""
    return _ORDERS[order]


def arm_label(arm: str, method: str) -> str:
    """Return the method's label if an arm has the method's name, else the arm's name."""
    return _METHODS.get(method, method) if arm == method else arm


def _bootstrap_label(key: str, rest: str) -> MetricLabel:
    """Return the label of a bound of an interval over test samples, or of its resamples."""
    metric, _, end = rest.partition("/")
    if metric in _METRICS and end in _ENDS:
        name, style, way = _METRICS[metric]
        return _label(f"test {name}, {_ENDS[end]} end over test samples", style, way)
    if rest == "resamples":
        return _label("resamples of the test samples", _COUNT, "maximize")
    return _label(key, _PLAIN, "maximize")


def _occlusion_label(key: str, rest: str) -> MetricLabel:
    """Return the label of a result with hidden positions: accuracy, or AUC if multi-label."""
    order, _, share = rest.partition("/")
    if rest == "none":
        return _label("test result, nothing hidden", _PER_CENT, "maximize")
    if order in _ORDERS and share:
        name = f"test result, share {share} hidden {_ORDERS[order]}"
        return _label(name, _PER_CENT, "maximize")
    return _label(key, _PLAIN, "maximize")


def _label(name: str, style: tuple[str, str, float, int], direction: Direction) -> MetricLabel:
    unit, difference_unit, factor, digits = style
    return MetricLabel(
        name=name,
        unit=unit,
        difference_unit=difference_unit,
        factor=factor,
        digits=digits,
        direction=direction,
    )
