"""Strict decoding of plain data (YAML, JSON) into frozen dataclasses, and back.

The type annotations are the schema. Alternatives are unions of dataclasses, each with a class
variable ``name``: ``{name: adam, lr: 0.001}``, or ``adam`` alone where the defaults suffice.
Nothing is converted silently but an integer where a real number is asked for.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal, Protocol, TypeVar, overload

from trainables.errors import ConfigError
from trainables.names import suggestion

T = TypeVar("T")


class Named(Protocol):
    """A dataclass that is one alternative of a union."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]


@overload
def decode(kind: type[T], data: object, where: str = "") -> T: ...


@overload
def decode(kind: Any, data: object, where: str = "") -> Any: ...  # noqa: ANN401 (a union, say)


def decode(kind: Any, data: object, where: str = "") -> Any:
    """Build ``kind`` from plain data.

    Args:
        kind: A dataclass, or any annotation that a field of one may have.
        data: What a YAML or JSON parser gave.
        where: Dotted path of ``data``, for messages.

    Raises:
        ConfigError: If a key is unknown or missing, or a value of the wrong kind or out of
            range. The message starts with the dotted path.

    Example:
        >>> from trainables.optimizers import Adam
        >>> decode(Adam, {"lr": 1})
        Adam(lr=1.0, weight_decay=0.0)
    """
    return _decode(kind, data, where)


def encode(value: Any) -> Any:  # noqa: ANN401 (any field value)
    """Turn a decoded value back into plain data, from which ``decode`` gives an equal one."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        name = getattr(type(value), "name", None)
        return {"name": name, **fields} if isinstance(name, str) else fields
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def _decode(kind: Any, data: object, where: str) -> object:  # noqa: ANN401
    origin = typing.get_origin(kind)
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _decode_record(typing.cast("type", kind), data, where)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data, where)
    if origin is Literal:
        return _decode_literal(typing.get_args(kind), data, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind)[0], data, where)
    if origin in (dict, Mapping):
        return _decode_mapping(typing.get_args(kind)[1], data, where)
    return _decode_scalar(kind, data, where)


def _decode_record(kind: type, data: object, where: str) -> object:
    if isinstance(data, str) and isinstance(getattr(kind, "name", None), str):
        data = {"name": data}
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or 'the file'} must be a mapping of settings, got {data!r}.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    given = dict(data) if "name" in fields else _without_name(kind, data, where)
    for key in given:
        if key not in fields:
            path = _join(where, str(key))
            raise ConfigError(f"{path} is not a setting; {suggestion(str(key), fields)}")
    hints = _hints(kind)
    values = {key: _decode(hints[key], item, _join(where, key)) for key, item in given.items()}
    for key, field in fields.items():
        if key not in values and _is_required(field):
            raise ConfigError(f"{_join(where, key)} is missing; give it a value.")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(_join(where, str(error))) from None


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Evaluate the annotations of a record, once: a large study decodes one per trial."""
    return typing.get_type_hints(kind)


def _without_name(kind: type, data: Mapping[str, object], where: str) -> dict[str, object]:
    name = getattr(kind, "name", None)
    if isinstance(name, str) and data.get("name", name) != name:
        raise ConfigError(f"{_join(where, 'name')} must be {name!r}, got {data['name']!r}.")
    return {key: item for key, item in data.items() if key != "name" or not isinstance(name, str)}


def _decode_union(options: tuple[Any, ...], data: object, where: str) -> object:
    if data is None and types.NoneType in options:
        return None
    options = tuple(option for option in options if option is not types.NoneType)
    named: dict[str, type] = {
        option.name: option  # type: ignore[misc,union-attr] # see Named
        for option in options
        if dataclasses.is_dataclass(option)
    }
    if named and isinstance(data, str | Mapping):
        name = data if isinstance(data, str) else data.get("name")
        if name not in named:
            path = where if isinstance(data, str) or name is None else _join(where, "name")
            reason = "needs a 'name'" if name is None else f"is {name!r}, which is not known"
            raise ConfigError(f"{path} {reason}; {suggestion(str(name), named)}")
        return _decode_record(named[name], data, where)
    return _decode_first(options, data, where)


def _decode_first(options: tuple[Any, ...], data: object, where: str) -> object:
    # int before float, so that a count stays a count where both are allowed.
    failures = []
    for option in sorted(options, key=lambda kind: kind is float):
        try:
            return _decode(option, data, where)
        except ConfigError as error:
            failures.append(str(error))
    raise ConfigError(failures[-1])


def _decode_literal(options: tuple[Any, ...], data: object, where: str) -> object:
    if data in options and type(data) in {type(option) for option in options}:
        return data
    hint = suggestion(str(data), map(str, options))
    raise ConfigError(f"{where} is {data!r}, which is not known; {hint}")


def _decode_tuple(item: Any, data: object, where: str) -> tuple[object, ...]:  # noqa: ANN401
    if not isinstance(data, list | tuple):
        raise ConfigError(f"{where} must be a list, got {data!r}.")
    return tuple(_decode(item, value, f"{where}[{i}]") for i, value in enumerate(data))


def _decode_mapping(item: Any, data: object, where: str) -> dict[str, object]:  # noqa: ANN401
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} must be a mapping, got {data!r}.")
    return {str(key): _decode(item, value, _join(where, str(key))) for key, value in data.items()}


_SCALARS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def _decode_scalar(kind: type, data: object, where: str) -> object:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        data = float(data)
    if kind not in _SCALARS or type(data) is not kind:
        raise ConfigError(f"{where} must be {_SCALARS.get(kind, kind)}, got {data!r}.")
    if isinstance(data, float) and not math.isfinite(data):
        raise ConfigError(f"{where} must be a finite number, got {data!r}.")
    return data


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
