"""The contract of a plug-in's parts: what a module defines, and what that must have."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias

from trainables.attribution import ATTRIBUTIONS, Attribution
from trainables.datasets import DATASETS, Dataset
from trainables.decoding import is_record, shown
from trainables.errors import PluginError
from trainables.methods import METHODS, Method
from trainables.metrics import METRICS, Score
from trainables.models import MODELS, Model

PartKind: TypeAlias = Literal["dataset", "model", "method", "attribution", "metric"]

_BASES: Final[Mapping[PartKind, tuple[type, MutableMapping[str, Any]]]] = {
    "dataset": (Dataset, DATASETS),
    "model": (Model, MODELS),
    "method": (Method, METHODS),
    "attribution": (Attribution, ATTRIBUTIONS),
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that a plug-in adds: a class of settings, or a metric."""

    kind: PartKind
    name: str
    value: Any


def defined_parts(module: ModuleType) -> tuple[Part, ...]:
    """Return the parts that a module defines, or takes from modules of its own package.

    Raises:
        PluginError: If one lacks something of its contract; names file, line and what is missing.
    """
    top = module.__name__.partition(".")[0]
    found = []
    for key, value in vars(module).items():
        if isinstance(value, Score) and not any(value is known for known in METRICS.values()):
            found.append(_metric(module, key, value))
        elif isinstance(value, type) and value.__module__.partition(".")[0] == top:
            for kind, (base, _) in _BASES.items():
                if issubclass(value, base) and _is_part(value):
                    _require_contract(kind, value, base)
                    found.append(Part(kind=kind, name=value.__dict__["name"], value=value))
    return tuple(found)


def _is_part(kind: type) -> bool:
    # An abstract class without a name is a base class of the plug-in's own.
    return "name" in kind.__dict__ or not inspect.isabstract(kind)


def _metric(module: ModuleType, key: str, score: Score) -> Part:
    where = line_of(score)
    if not _NAME.fullmatch(key):
        raise PluginError(
            f"{where}: the variable of a metric is its name, and must be of lower-case letters, "
            f"digits and '_', got {key!r} in {module.__name__}; rename it."
        )
    if not (score.compute.__doc__ or "").strip():
        raise PluginError(f"{where}: the function of metric {key!r} must have a docstring.")
    return Part(kind="metric", name=key, value=score)


def _require_contract(kind: PartKind, cls: type, base: type) -> None:
    missing = list(_missing(kind, cls, base))
    if missing:
        raise PluginError(
            f"{line_of(cls)}: {kind} {cls.__name__} must have {'; and '.join(missing)}."
        )


def _missing(kind: PartKind, cls: type, base: type) -> Iterator[str]:
    """Yield what a class lacks of the contract of its kind, each as the end of a sentence."""
    name = cls.__dict__.get("name")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        yield (
            "a 'name: ClassVar[str]' of lower-case letters, digits and '_', by which study files "
            f"select it, got {shown(name)}"
        )
    if kind == "method" and not isinstance(getattr(cls, "label", None), str):
        yield "a 'label: ClassVar[str]', its name in figures"
    if not is_record(cls):
        yield "the decorator @record above it, which checks its settings"
    if not (cls.__doc__ or "").strip() or str(cls.__doc__).startswith(f"{cls.__name__}("):
        yield "a docstring, whose first line is shown by 'list'"
    for method in sorted(getattr(cls, "__abstractmethods__", ())):
        yield f"{_signature(method, getattr(base, method))}, which is missing"
    for method in _public_functions(base):
        own = inspect.getattr_static(cls, method, None)
        if inspect.isfunction(own) and not _accepts(own, getattr(base, method)):
            yield f"{_signature(method, getattr(base, method))}, got {_signature(method, own)}"


def _public_functions(base: type) -> list[str]:
    return [
        name
        for name, value in vars(base).items()
        if inspect.isfunction(value) and (name == "__call__" or not name.startswith("_"))
    ]


def _accepts(function: Callable[..., object], wanted: Callable[..., object]) -> bool:
    """Return whether a function can be called with the arguments of another."""
    parameters = inspect.signature(wanted).parameters.values()
    keywords = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    positional = [one.name for one in parameters if one.name not in keywords]
    try:
        inspect.signature(function).bind(*positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def _signature(name: str, function: object) -> str:
    if not callable(function):
        return f"the property '{name}'"
    names = [one for one in inspect.signature(function).parameters if one != "self"]
    return f"{name}({', '.join(names)})"


def registry(kind: PartKind) -> MutableMapping[str, Any]:
    """Return the mapping of the known parts of a kind, by name."""
    return METRICS if kind == "metric" else _BASES[kind][1]


def line_of(thing: object) -> str:
    """Return file name and line of a class, function or metric, as the beginning of a message."""
    thing = thing.compute if isinstance(thing, Score) else thing
    try:
        file = Path(inspect.getsourcefile(thing) or "")  # type: ignore[arg-type] # a class, say
        return f"{file.name}:{inspect.getsourcelines(thing)[1]}"  # type: ignore[arg-type]
    except (OSError, TypeError):
        return str(getattr(thing, "__module__", "plug-in"))
