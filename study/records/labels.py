"""Labels of dimensions, metrics and arms: names, symbols, units and directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.fields import Direction, Symbol, symbol_of

if TYPE_CHECKING:
    from trainables.metrics import Metric, Unit

__all__ = [
    "Direction",
    "MetricLabel",
    "arm_label",
    "dimension_axis",
    "dimension_symbol",
    "metric_label",
    "order_label",
]

_ENDS = {"low": "lower", "high": "upper"}
_ORDERS = {"random": "at random", "most_relevant": "most relevant first"}
_SPLITS = {"val": "validation ", "test": "test ", "train": "training "}


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


def metric_label(key: str) -> MetricLabel:
    """Return the label of a metric key; an unknown key is its own label, to be maximized.

    Filter cosines are better when lower: more diverse filters.

    Example:
        >>> metric_label("test/accuracy").axis
        'Test accuracy [%]'
    """
    from trainables.metrics import COUNT, FILTERS, METRICS, PER_CENT, PLAIN, REPORTED

    group, _, rest = key.partition("/")
    known: dict[str, Metric] = {**METRICS, **REPORTED}
    if group in FILTERS:
        layer = "mean over layers" if rest == "mean" else rest
        return _label(f"{FILTERS[group].label}, {layer}", FILTERS[group])
    if group in _SPLITS and rest in known:
        return _label(_SPLITS[group] + known[rest].label, known[rest])
    name, _, part = rest.partition("/")
    if group == "test_bootstrap" and name in known and part in _ENDS:
        label = f"test {known[name].label}, {_ENDS[part]} end over test samples"
        return _label(label, known[name])
    if key == "test_bootstrap/resamples":
        return _plain("resamples of the test samples", COUNT)
    if key == "occlusion/none":
        return _plain("test result, nothing hidden", PER_CENT)
    if group == "occlusion" and name in _ORDERS and part:
        return _plain(f"test result, share {part} hidden {_ORDERS[name]}", PER_CENT)
    return _plain(key, PLAIN)


def dimension_symbol(dimension: str) -> str:
    """Return the paper's symbol of a dimension, or its own name: ``top_k`` is K."""
    symbol = _symbol(dimension)
    return dimension if symbol is None else symbol.short


def dimension_axis(dimension: str) -> str:
    """Return what a dimension is, for the axis of a figure."""
    symbol = _symbol(dimension)
    return dimension if symbol is None else symbol.axis


def order_label(order: str) -> str:
    """Return the label of the order in which positions are hidden: ``most relevant first``."""
    return _ORDERS[order]


def arm_label(arm: str, method: str) -> str:
    """Return the label of its method for an arm that is named after it, else its own name.

    Example:
        >>> arm_label("random", "random"), arm_label("random-like-challenger", "random")
        ('Random', 'Random, matched to challenger')
        >>> arm_label("base-passes-like-challenger", "base")
        'Base, as many passes as challenger'
    """
    from trainables.methods import METHODS

    if method not in METHODS:
        return arm
    label = METHODS[method].label
    for infix, words in (("-like-", "matched to"), ("-passes-like-", "as many passes as")):
        if arm.startswith(f"{method}{infix}"):
            return f"{label}, {words} {arm.removeprefix(method + infix)}"
    return label if arm == method else arm


def _symbol(dimension: str) -> Symbol | None:
    from trainables.config import TrainingConfig
    from trainables.methods import METHODS
    from trainables.models import MODELS
    from trainables.optimizers import OPTIMIZERS, SCHEDULES

    path, _, name = dimension.rpartition(".")
    if path:
        others: list[type] = [TrainingConfig, *OPTIMIZERS.values(), *SCHEDULES.values()]
        return symbol_of([*others, *MODELS.values()], name)
    return symbol_of(METHODS.values(), name)


def _label(name: str, metric: Metric) -> MetricLabel:
    return _of_unit(name, metric.unit, metric.direction)


def _plain(name: str, unit: Unit) -> MetricLabel:
    return _of_unit(name, unit, "maximize")


def _of_unit(name: str, unit: Unit, direction: Direction) -> MetricLabel:
    return MetricLabel(
        name=name,
        unit=unit.name,
        difference_unit=unit.of_difference,
        factor=unit.factor,
        digits=unit.digits,
        direction=direction,
    )
