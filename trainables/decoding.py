"""Records of settings: strict and frozen, built from plain data (YAML, JSON), with messages.

A record is a pydantic dataclass. ``build`` and ``decode`` build one from plain data, ``encode``
converts it back, and one formatter writes every message: dotted path, rule and value.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import reprlib
import typing
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, TypeVar, dataclass_transform, overload

import pydantic.dataclasses
from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs, core_schema

from trainables.errors import ConfigError
from trainables.names import printable, suggestion

T = TypeVar("T")

_LONGEST = 80
_RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be an integer",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "mapping_type": "must be a mapping",
    "string_type": "must be a text",
    "too_long": "must have fewer entries, {max_length} at most",
    "too_short": "must have more entries, {min_length} at least",
    "tuple_type": "must be a list",
}


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field, Field)
)
def record(cls: type[T]) -> type[T]:
    """Turn a class into a record: a frozen dataclass whose declared fields are checked.

    A class variable ``name`` selects it among alternatives (see
    :class:`~trainables.fields.OneOf`); a class variable ``further`` names the field, a mapping,
    that takes the keys of no other field. Rules of several fields are checked in
    ``__post_init__``, which raises a ConfigError that begins with the name of a field.

    Example:
        >>> from trainables.optimizers import Sgd
        >>> Sgd(momentum=0.5)
        Sgd(lr=0.01, weight_decay=0.0, momentum=0.5)
        >>> Sgd(momentum=1.0)
        Traceback (most recent call last):
        trainables.errors.ConfigError: momentum must be below 1, got 1.0.
    """
    made: Any = pydantic.dataclasses.dataclass(
        frozen=True, slots=True, kw_only=True, config=_CONFIG
    )(cls)
    if not made.__pydantic_complete__:
        pydantic.dataclasses.rebuild_dataclass(made, force=True)  # names an undefined type

    def __init__(self: object, **settings: object) -> None:  # noqa: N807 (put on the class)
        try:
            _fill(made, self, _frozen(settings))
        except ValidationError as error:
            raise ConfigError(explain(error)) from None

    def core(_: type, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:  # noqa: ANN401
        if source is not made:
            return handler(source)
        schemas = [lambda _, handler: handler(made.__pydantic_core_schema__)]
        return core_schema.no_info_plain_validator_function(
            partial(build, made), metadata={"pydantic_js_functions": schemas}
        )

    __init__.__signature__ = inspect.signature(made.__init__)  # type: ignore[attr-defined]
    made.__init__ = __init__
    made.__get_pydantic_core_schema__ = classmethod(core)
    return made  # type: ignore[no-any-return]


def build(kind: type[T], data: object) -> T:
    """Build a record from plain data, or return it if it is one.

    Raises:
        ConfigError: If the data are not its settings.
        ValidationError: If a setting is wrong.
    """
    if isinstance(data, kind):
        return data
    name = getattr(kind, "name", None)
    given = {"name": data} if isinstance(data, str) and isinstance(name, str) else data
    if not isinstance(given, Mapping):
        raise ConfigError(f" must be a mapping of settings, got {shown(data)}.")
    if isinstance(name, str) and "name" in given:
        if given["name"] != name:
            raise ConfigError(f"name must be {name!r}, got {shown(given['name'])}.")
        given = {key: value for key, value in given.items() if key != "name"}
    made = object.__new__(kind)
    _fill(kind, made, dict(given))
    return made


@overload
def decode(kind: type[T], data: object, where: str = "") -> T: ...


@overload
def decode(kind: Any, data: object, where: str = "") -> Any: ...  # noqa: ANN401 (a union, say)


def decode(kind: Any, data: object, where: str = "") -> Any:
    """Build a value from plain data.

    Args:
        kind: A record, or any annotation of a field.
        data: Result of a YAML or JSON parser.
        where: Dotted path of ``data``, for messages.

    Raises:
        ConfigError: If a key is unknown or missing, or a value has the wrong type or is out of
            range. The message starts with the dotted path.

    Example:
        >>> from trainables.optimizers import Adam
        >>> decode(Adam, {"lr": 1})
        Adam(lr=1.0, weight_decay=0.0)
    """
    try:
        if is_record(kind):
            return build(kind, _frozen(data))
        return _adapter(kind).validate_python(_frozen(data))
    except ValidationError as error:
        raise ConfigError(explain(error, where)) from None
    except ConfigError as error:
        raise ConfigError(_join(where, str(error))) from None


def encode(value: Any) -> Any:  # noqa: ANN401 (any field value)
    """Convert a value to plain data, from which ``decode`` builds an equal one."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {key: encode(getattr(value, key)) for key in field_names(type(value))}
        name = getattr(type(value), "name", None)
        return {"name": name, **fields} if isinstance(name, str) else fields
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


@cache
def field_names(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 (a dataclass)
    """Return the names of a dataclass's fields, in their order."""
    return tuple(field.name for field in dataclasses.fields(kind))


def is_record(kind: object) -> bool:
    """Return whether something is a class of records."""
    return isinstance(kind, type) and "__pydantic_validator__" in kind.__dict__


def explain(error: ValidationError, where: str = "") -> str:
    """Return the message of pydantic's first error, missing keys last.

    ``where`` is the dotted path of the validated data.
    """
    found = error.errors(include_url=False)
    one = next((each for each in found if each["type"] != "missing"), found[0])
    context, path = one.get("ctx", {}), where
    is_key = one["loc"][-1:] == ("[key]",)
    for key in one["loc"][: -2 if is_key else None]:
        path = f"{path}[{key}]" if isinstance(key, int) else _join(path, printable(key))
    if isinstance(context.get("error"), ConfigError):
        return _join(path, str(context["error"]))
    if one["type"] == "missing":
        return f"{path} is missing; give it a value."
    path = f"a key of {path}" if is_key else path
    value = shown(one["input"])
    if one["type"] == "literal_error":
        known = re.findall(r"'([^']*)'|(\d+)", str(context["expected"]))
        hint = suggestion(str(one["input"]), (text or number for text, number in known))
        return f"{path or 'the value'} is {value}, which is not known; {hint}"
    bounds = {key: f"{v:g}" if isinstance(v, float) else v for key, v in context.items()}
    rule = _RULES.get(one["type"], one["msg"]).format(**bounds)
    return f"{path or 'the value'} {rule}, got {value}{_quoting(one)}."


def shown(value: object) -> str:
    """Return a user's value in at most 80 characters, with control characters escaped."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "an integer of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def attributes(kind: type) -> dict[str, str]:
    """Return the descriptions of attributes in the docstrings of a record and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")[2]
        entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8,}.+)*)", section.split("\n\n")[0], re.M)
        found |= {name: " ".join(text.split()) for name, text in entries}
    return found


def _describe(schema: dict[str, Any], kind: Any) -> None:  # noqa: ANN401 (a record)
    # Settings are described in docstrings alone.
    schema["description"] = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
    said = attributes(kind)
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            part["default"] = encode(kind.__dataclass_fields__[key].default)
        if key in said:
            part["description"] = said[key]
    if hasattr(kind, "further"):
        schema["additionalProperties"] = True
    name = getattr(kind, "name", None)
    if isinstance(name, str):
        schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}


_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_CONFIG = ConfigDict(**_STRICT, extra="forbid", json_schema_extra=_describe)


def _fill(kind: Any, made: object, settings: dict[Any, object]) -> None:  # noqa: ANN401
    further = getattr(kind, "further", None)
    if further is not None:
        unknown = {key: settings.pop(key) for key in set(settings) - set(field_names(kind))}
        if unknown:
            settings[further] = {**settings.get(further, {}), **unknown}  # type: ignore[dict-item]
    for key in settings:
        if key not in field_names(kind):
            hint = suggestion(str(key), field_names(kind))
            raise ConfigError(f"{printable(str(key))} is not a setting; {hint}")
    kind.__pydantic_validator__.validate_python(ArgsKwargs((), settings), self_instance=made)


def _frozen(data: Any) -> Any:  # noqa: ANN401 (plain data)
    if isinstance(data, Mapping):
        return {key: _frozen(value) for key, value in data.items()}
    return tuple(map(_frozen, data)) if isinstance(data, list | tuple) else data


@cache
def _adapter(kind: Any) -> Any:  # noqa: ANN401 (an annotation)
    bare = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return TypeAdapter(kind, config=None if is_record(bare) else _STRICT)


def _quoting(error: Any) -> str:  # noqa: ANN401 (pydantic's)
    is_bare = not isinstance(error["input"], Mapping | tuple | list | None)
    return "; write it in quotes" if error["type"] == "string_type" and is_bare else ""


def _join(where: str, rest: str) -> str:
    if rest.startswith(" "):
        return f"{where or 'the file'}{rest}"
    return f"{where}.{rest}" if where else rest


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = _LONGEST

    def repr_tuple(self, x: tuple[Any, ...], level: int) -> str:
        return self.repr_list(list(x), level)


_REPR = _Repr()
