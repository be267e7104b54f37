"""``--set key=value``: from overrides to settings, and from a format's name to its launch file."""

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
from cluster.render import LAUNCHERS
from cluster.render.launch_file import LaunchFile
from cluster.render.settings import LaunchSettings


def parse_overrides(pairs: Sequence[str]) -> LaunchSettings:
    """Make settings from their defaults and what was set.

    Args:
        pairs: Texts such as ``workers.max=8`` or ``partition=gpu``.

    Raises:
        LaunchError: If a key is unknown or a value is wrong; the message begins with the key.

    Example:
        >>> parse_overrides(["workers.max=8", "partition=gpu"]).workers.max
        8
    """
    known = setting_keys()
    values: dict[str, object] = {}
    for pair in pairs:
        key = resolve_key(pair)
        if key in values:
            raise LaunchError(f"{key} was set twice; leave one of them out.")
        values[key] = _convert(key, known[key], pair.partition("=")[2])
    settings = _build(LaunchSettings, values, "")
    assert isinstance(settings, LaunchSettings)
    return settings


def resolve_key(pair: str) -> str:
    """Give the dotted key that ``key=value`` sets.

    Raises:
        LaunchError: If there is none, or several.

    Example:
        >>> resolve_key("namespace=lab")
        'kubernetes.namespace'
    """
    given, sign, _ = pair.partition("=")
    if not sign:
        raise LaunchError(f"a setting must be written key=value, got {given!r}; add its value.")
    known = setting_keys()
    if given in known:
        return given
    meant = [key for key in known if key.rpartition(".")[2] == given]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise LaunchError(f"{given} can mean {' or '.join(meant)}; write one of them out.")
    raise LaunchError(f"{given!r} is not a setting; {_suggestion(given, known)}")


@cache
def setting_keys() -> Mapping[str, Any]:
    """Give every setting's dotted key with the annotation of its value."""
    return MappingProxyType(dict(_setting_keys(LaunchSettings, "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDescription:
    """One setting as it is listed.

    Attributes:
        key: Its dotted key.
        value: Its value, written as ``--set`` takes it.
        description: What it is.
    """

    key: str
    value: str
    description: str


def describe_settings(settings: LaunchSettings) -> list[SettingDescription]:
    """Give every setting with its value and what it means."""
    return list(_describe(settings, ""))


def _describe(record: Any, prefix: str) -> Iterable[SettingDescription]:  # noqa: ANN401 (a record)
    descriptions = _attribute_docs(record)
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from _describe(value, f"{prefix}{field.name}.")
        else:
            key = f"{prefix}{field.name}"
            yield SettingDescription(
                key=key, value=_format_value(value), description=descriptions.get(field.name, "")
            )


def _attribute_docs(record: object) -> dict[str, str]:
    """Read what its attributes mean in a record's docstring."""
    _, _, listed = inspect.cleandoc(type(record).__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): ((?:.+\n?)(?:^        .+\n?)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


@cache
def _type_hints(record: type) -> Mapping[str, Any]:
    return MappingProxyType(get_type_hints(record))


def _setting_keys(record: type, prefix: str) -> Iterable[tuple[str, Any]]:
    hints = _type_hints(record)
    for field in fields(record):
        kind = hints[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _setting_keys(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_name = {key.rpartition(".")[2]: key for key in known} | {key: key for key in known}
    close = difflib.get_close_matches(name, by_name, n=1)
    if close:
        return f"did you mean '{by_name[close[0]]}'?"
    return f"known: {', '.join(known)}."


def _build(record: type, values: Mapping[str, object], prefix: str) -> object:
    hints = _type_hints(record)
    given: dict[str, object] = {}
    for field in fields(record):
        key = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            given[field.name] = _build(hints[field.name], values, f"{key}.")
        elif key in values:
            given[field.name] = values[key]
    try:
        return record(**given)
    except LaunchError as error:
        # A record inside says its own place.
        message = str(error)
        raise LaunchError(f"{prefix}{message}") from None


def _convert(key: str, kind: Any, text: str) -> object:  # noqa: ANN401 (an annotation)
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


def render_launch_file(launcher: str, pairs: Sequence[str]) -> LaunchFile:
    """Make a launch file.

    Args:
        launcher: Name of a format.
        pairs: What is set, such as ``workers.max=8``.

    Raises:
        LaunchError: If there is no such format, a setting is wrong, or one changes nothing in this
            format: whoever sets it expects that it does.
    """
    if launcher not in LAUNCHERS:
        close = difflib.get_close_matches(launcher, LAUNCHERS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(LAUNCHERS)}."
        raise LaunchError(f"{launcher!r} is no format of launch files; {hint}")
    settings = parse_overrides(pairs)
    made = LAUNCHERS[launcher](settings)
    for pair in pairs:
        rest = [other for other in pairs if other != pair]
        if _setting_value(settings, resolve_key(pair)) != _setting_value(
            LaunchSettings(), resolve_key(pair)
        ):
            _require_effect(launcher, pair, rest, made)
    return made


def _require_effect(launcher: str, pair: str, rest: Sequence[str], made: LaunchFile) -> None:
    try:
        without = LAUNCHERS[launcher](parse_overrides(rest))
    except LaunchError:
        # It is needed beside the others.
        return
    if without == made:
        raise LaunchError(
            f"{resolve_key(pair)} changes nothing in a {launcher} file with these settings; leave it "
            "out."
        )


def _setting_value(settings: LaunchSettings, key: str) -> object:
    assert key in setting_keys()
    found: object = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found
