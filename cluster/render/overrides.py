"""``--set key=value``: settings by their dotted key, or by its last part where one has it."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cluster.errors import LaunchError
from cluster.render.settings import LaunchSettings


def settings_of(pairs: Sequence[str]) -> LaunchSettings:
    """Make settings from their defaults and what was set.

    Args:
        pairs: Texts such as ``workers.max=8`` or ``partition=gpu``.

    Raises:
        LaunchError: If a key is unknown or a value is wrong; the message begins with the key.

    Example:
        >>> settings_of(["workers.max=8", "partition=gpu"]).workers.max
        8
    """
    known = keys()
    values: dict[str, object] = {}
    for pair in pairs:
        key = key_of(pair)
        if key in values:
            raise LaunchError(f"{key} was set twice; leave one of them out.")
        values[key] = _converted(key, known[key], pair.partition("=")[2])
    settings = _built(LaunchSettings, values, "")
    assert isinstance(settings, LaunchSettings)
    return settings


def key_of(pair: str) -> str:
    """Give the dotted key that ``key=value`` sets.

    Raises:
        LaunchError: If there is none, or several.

    Example:
        >>> key_of("namespace=lab")
        'kubernetes.namespace'
    """
    given, sign, _ = pair.partition("=")
    if not sign:
        raise LaunchError(f"a setting must be written key=value, got {given!r}; add its value.")
    known = keys()
    if given in known:
        return given
    meant = [key for key in known if key.rpartition(".")[2] == given]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise LaunchError(f"{given} can mean {' or '.join(meant)}; write one of them out.")
    raise LaunchError(f"{given!r} is not a setting; {_suggestion(given, known)}")


@cache
def keys() -> Mapping[str, Any]:
    """Give every setting's dotted key with the annotation of its value."""
    return MappingProxyType(dict(_keys(LaunchSettings, "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it is listed.

    Attributes:
        key: Its dotted key.
        value: Its value, written as ``--set`` takes it.
        meaning: What it is.
    """

    key: str
    value: str
    meaning: str


def described(settings: LaunchSettings) -> list[Setting]:
    """Give every setting with its value and what it means."""
    return list(_described(settings, ""))


def _described(record: Any, prefix: str) -> Iterable[Setting]:  # noqa: ANN401 (a record)
    meanings = _meanings(record)
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from _described(value, f"{prefix}{field.name}.")
        else:
            key = f"{prefix}{field.name}"
            yield Setting(key=key, value=_written(value), meaning=meanings.get(field.name, ""))


def _meanings(record: object) -> dict[str, str]:
    """Read what its attributes mean in a record's docstring."""
    _, _, listed = inspect.cleandoc(type(record).__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): ((?:.+\n?)(?:^        .+\n?)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


@cache
def _hints(record: type) -> Mapping[str, Any]:
    return MappingProxyType(get_type_hints(record))


def _keys(record: type, prefix: str) -> Iterable[tuple[str, Any]]:
    hints = _hints(record)
    for field in fields(record):
        kind = hints[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _keys(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_name = {key.rpartition(".")[2]: key for key in known} | {key: key for key in known}
    close = difflib.get_close_matches(name, by_name, n=1)
    if close:
        return f"did you mean '{by_name[close[0]]}'?"
    return f"known: {', '.join(known)}."


def _built(record: type, values: Mapping[str, object], prefix: str) -> object:
    hints = _hints(record)
    given: dict[str, object] = {}
    for field in fields(record):
        key = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            given[field.name] = _built(hints[field.name], values, f"{key}.")
        elif key in values:
            given[field.name] = values[key]
    try:
        return record(**given)
    except LaunchError as error:
        # A record inside says its own place.
        message = str(error)
        raise LaunchError(f"{prefix}{message}") from None


def _converted(key: str, kind: Any, text: str) -> object:  # noqa: ANN401 (an annotation)
    if get_origin(kind) is Literal:
        return _one_of(key, text, get_args(kind))
    if kind is bool:
        return _one_of(key, text, ("true", "false")) == "true"
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise LaunchError(f"{key} must be an integer, got {text!r}; correct it.") from None
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _one_of(key: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise LaunchError(f"{key} must be {' or '.join(choices)}, got {text!r}; correct it.")
    return text
