"""What a setting must hold: texts go into scripts and manifests, so few signs are allowed."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cluster.errors import LaunchError

_WORD: Final = r"[A-Za-z0-9._,:=+/@~-]+"
_LABEL: Final = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_IMAGE: Final = r"[a-z0-9][A-Za-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})"
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_TIME: Final = r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}"
_ADDRESS: Final = r"[A-Za-z0-9._,:=+/@~?&%-]+"


def at_least(name: str, value: int, least: int) -> None:
    """Refuse a number that is too small."""
    if value < least:
        raise LaunchError(f"{name} must be at least {least}, got {value}; raise it.")


def word(name: str, value: str) -> None:
    """Refuse a text that a shell or YAML could read as more than one word."""
    _match(name, value, _WORD, "letters, digits and . _ , : = + / @ ~ -, at least one")


def word_or_empty(name: str, value: str) -> None:
    """Refuse the same, but let an empty text stand."""
    if value:
        word(name, value)


def label(name: str, value: str, longest: int) -> None:
    """Refuse what cannot be the name of a thing in Kubernetes."""
    _match(name, value, _LABEL, "small letters, digits and -, a letter first")
    if len(value) > longest:
        raise LaunchError(
            f"{name} must have at most {longest} characters, got {value} with {len(value)}; "
            "shorten it."
        )


def label_or_empty(name: str, value: str) -> None:
    """Refuse the same, but let an empty text stand."""
    if value:
        label(name, value, 63)


def versions(record: Any) -> None:  # noqa: ANN401 (a dataclass of versions)
    """Refuse a record that holds anything but versions."""
    for field in fields(record):
        _match(field.name, getattr(record, field.name), r"\d+(\.\d+)+\w*", "a version such as 2.1")


def pinned_image(name: str, value: str) -> None:
    """Refuse an image of which nobody can say which one it is."""
    _match(name, value, _IMAGE, "an image with a tag or a digest, such as registry/name:1.0")
    if value.endswith(":latest"):
        raise LaunchError(
            f"{name} must say which image it is, got {value}, which changes; name a version."
        )


def folder(name: str, value: str) -> None:
    """Refuse what is no absolute path without detours."""
    word(name, value)
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or str(path) != value or value == "/":
        raise LaunchError(
            f"{name} must be an absolute path without '..' and without '/' at its end, got "
            f"{value}; write it out."
        )


def file_name(name: str, value: str) -> None:
    """Refuse what is no name of a study file."""
    word(name, value)
    if "/" in value or not value.endswith((".yaml", ".yml")):
        raise LaunchError(
            f"{name} must be the name of a YAML file in the current folder, got {value}; copy the "
            "study there."
        )


def host(name: str, value: str) -> None:
    """Refuse what is neither an IPv4 address nor the name of a machine."""
    _match(name, value, _HOST, "IPv4 addresses or names of machines")


def slurm_time(name: str, value: str) -> None:
    """Refuse what Slurm does not read as a time."""
    _match(name, value, _TIME, "minutes, hours:minutes:seconds or days-hours:minutes:seconds")


def address(name: str, value: str, schemes: tuple[str, ...]) -> None:
    """Refuse a URL of another kind, and one with a password; an empty text may stand."""
    if not value:
        return
    try:
        parts = urlsplit(value)
        secret = parts.password or "password" in parse_qs(parts.query)
    except ValueError:
        raise LaunchError(f"{name} must be a URL, but what was given is none.") from None
    if secret:
        raise LaunchError(
            f"{name} must not hold a password, which everybody could read in the file; leave it "
            "out of the URL: the lines at the top of the file say where it belongs."
        )
    if parts.scheme not in schemes or not parts.hostname or not re.fullmatch(_ADDRESS, value):
        raise LaunchError(
            f"{name} must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}, "
            f"got {value}; correct it."
        )


def _match(name: str, value: str, pattern: str, what: str) -> None:
    if not re.fullmatch(pattern, value):
        raise LaunchError(f"{name} must be {what}, got {value!r}; correct it.")
