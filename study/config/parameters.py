"""The searchable fields of an arm: of its method, training and model, as rules of a space."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces import (
    CategoricalDimension,
    Condition,
    Dimension,
    FloatDimension,
    IntDimension,
    Limits,
    ParamValue,
    Rule,
    SpaceError,
)
from trainables.config import TrainingConfig
from trainables.datasets import DatasetConfig
from trainables.decoding import decode, shown
from trainables.errors import ConfigError
from trainables.fields import Parameter, parameters
from trainables.methods import METHODS, Method, MethodConfig
from trainables.models import ModelConfig

_FACTS = {"n_classes": "classes", "n_features": "input features"}


def dataset_limits(dataset: DatasetConfig) -> Limits:
    """Return the limits of a dataset."""
    info = dataset.info
    return Limits(
        dataset=dataset.name,
        n_classes=info.n_classes,
        n_features=info.n_features,
        spread=info.spread,
    )


def method_rules(method: type[Method] | MethodConfig, limits: Limits) -> dict[str, Rule]:
    """Return what each dimension of a method allows; empty for a method without dimensions."""
    kind = method if isinstance(method, type) else type(method)
    return _rules(parameters(kind), limits)


def arm_rules(
    method: MethodConfig, training: TrainingConfig, model: ModelConfig, limits: Limits
) -> dict[str, Rule]:
    """Return what each parameter of an arm allows: the method's by name, others by path."""
    others = {**parameters(training, "training."), **parameters(model, "model.")}
    return {**method_rules(method, limits), **_rules(others, limits)}


def fixed_reason(training: TrainingConfig, name: str) -> str | None:
    """Return why a field of training is not searched; None if it is, or is no such field."""
    found = parameters(training, "training.").get(name)
    return None if found is None or found.fixed is None else found.fixed.reason


def searched(method: type[Method]) -> tuple[str, ...]:
    """Return the dimensions of a method that are searched unless a study file says otherwise."""
    rules = method_rules(method, _ANY)
    return tuple(name for name, rule in rules.items() if rule.is_searched)


def dimension_names() -> set[str]:
    """Return the dimensions of all methods."""
    return {name for method in METHODS.values() for name in parameters(method)}


_ANY = Limits(dataset="any", n_classes=2, n_features=1)


def _rules(found: Mapping[str, Parameter], limits: Limits) -> dict[str, Rule]:
    return {name: _rule(one, limits) for name, one in found.items() if one.fixed is None}


def _rule(one: Parameter, limits: Limits) -> Rule:
    search = one.search

    def check(value: object, what: str) -> ParamValue:
        return _checked(one, value, what, limits)

    if one.choices:
        return Rule(
            check=check,
            default=CategoricalDimension(choices=one.choices),
            is_searched=search is not None,
        )
    if search is None:
        return Rule(check=check)
    counts = None
    if search.counts is not None:
        counts = IntDimension(low=search.counts[0], high=getattr(limits, search.counts[1]))
    return Rule(
        check=check,
        default=_range(one, limits),
        counts=counts,
        is_searched=search.by_default,
        condition=search.when and Condition(dimension=search.when[0], value=search.when[1]),
    )


def _range(one: Parameter, limits: Limits) -> Dimension:
    assert one.search is not None
    unit = getattr(limits, one.search.unit) if one.search.unit else 1
    low, high = (
        getattr(limits, end) if isinstance(end, str) else float(f"{end * unit:.4g}")
        for end in (one.search.low, one.search.high)
    )
    if one.kind == "int":
        return IntDimension(low=int(low), high=int(high), log=one.search.log)
    return FloatDimension(low=float(low), high=float(high), log=one.search.log)


def _checked(one: Parameter, value: object, what: str, limits: Limits) -> ParamValue:
    if one.choices:
        if not (isinstance(value, str) and value in one.choices):
            known = ", ".join(one.choices)
            raise SpaceError(f"{what} must be among {known}, got {shown(value)}.")
        return value
    try:
        found: ParamValue = decode(one.annotation, value, what)
    except ConfigError as error:
        raise SpaceError(str(error)) from None
    fact = _limiting(one, found)
    if fact is not None and found > getattr(limits, fact):
        most = getattr(limits, fact)
        raise SpaceError(
            f"{what} is {found}, but {limits.dataset} has {most} {_FACTS[fact]}; lower it to "
            f"{most} or less."
        )
    return found


def _limiting(one: Parameter, value: ParamValue) -> str | None:
    """Return the fact of the dataset that a value must not exceed."""
    if one.search is None:
        return None
    if one.search.counts is not None and isinstance(value, int):
        return one.search.counts[1]
    return one.search.high if isinstance(one.search.high, str) else None
