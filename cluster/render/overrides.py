"""``--set key=value``: settings from their defaults and overrides, and their descriptions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cluster.errors import LaunchError
from cluster.render.settings import LaunchSettings


def parse_overrides(pairs: Sequence[str]) -> LaunchSettings:
    """Return the settings that texts such as ``workers.max=8`` or ``partition=gpu`` describe.

    Raises:
        LaunchError: If a key is unknown or a value is wrong; the message begins with the key.

    Example:
        >>> parse_overrides(["workers.max=8", "partition=gpu"]).workers.max
        8
    """
    values: dict[str, Any] = {}
    keys = [resolve_key(pair) for pair in pairs]
    for key, pair in zip(keys, pairs, strict=True):
        if keys.count(key) > 1:
            raise LaunchError(f"{key} was set twice; leave one of them out.")
        section, _, name = key.rpartition(".")
        record = values.setdefault(section, {}) if section else values
        record[name] = pair.partition("=")[2]
    try:
        return LaunchSettings.model_validate(values)
    except ValidationError as error:
        raise LaunchError("\n".join(_messages(error))) from None


def resolve_key(pair: str) -> str:
    """Return the dotted key that ``key=value`` sets.

    Raises:
        LaunchError: If there is none, or several.

    Example:
        >>> resolve_key("namespace=lab")
        'kubernetes.namespace'
    """
    given, sign, _ = pair.partition("=")
    if not sign:
        raise LaunchError(f"a setting must be written key=value, got {given!r}; add its value.")
    known = setting_fields()
    if given in known:
        return given
    meant = [key for key in known if key.rpartition(".")[2] == given]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise LaunchError(f"{given} can mean {' or '.join(meant)}; write one of them out.")
    raise LaunchError(f"{given!r} is not a setting; {_suggestion(given, known)}")


@cache
def setting_fields() -> Mapping[str, FieldInfo]:
    """Return every setting's dotted key with its field."""
    return MappingProxyType(dict(_fields(LaunchSettings, "")))


def setting_value(settings: LaunchSettings, key: str) -> Any:  # noqa: ANN401 (of any setting)
    """Return the value of a dotted key."""
    found: Any = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found


def describe_settings(settings: LaunchSettings) -> dict[str, str]:
    """Return every setting as ``key=value``, as ``--set`` takes it, with its description."""
    return {
        f"{key}={_format_value(setting_value(settings, key))}": field.description or ""
        for key, field in setting_fields().items()
    }


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _fields(record: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in record.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_name = {key.rpartition(".")[2]: key for key in known} | {key: key for key in known}
    close = difflib.get_close_matches(name, by_name, n=1)
    return f"did you mean '{by_name[close[0]]}'?" if close else f"known: {', '.join(known)}."


def _messages(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        place = ".".join(str(part) for part in one["loc"] if isinstance(part, str))
        if one["type"] != "value_error":
            must = re.sub("^(Input|String) should", "must", one["msg"]).partition(", unable")[0]
            yield f"{place} {must}, got {one['input']!r}; correct it."
        elif isinstance(one["input"], str):
            must = str(one["ctx"]["error"])
            # A URL may hold a password.
            got = "" if "URL" in must or "password" in must else f", got {one['input']!r}"
            yield f"{place} {must}{got}; correct it."
        else:
            yield f"{place}.{one['ctx']['error']}; correct it."
