"""MLflow's address, and keeping the passwords in it out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from study.errors import TrackingError

_SCHEMES: Final = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide passwords in a text that may quote an address.

    Args:
        text: A message.
        secrets: Passwords that are known, hidden wherever they stand.

    >>> masked("no answer from postgresql+psycopg://me:p@ss@db:5432/mlflow")
    'no answer from postgresql+psycopg://me:***@db:5432/mlflow'
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(\w[\w+.-]*://[^/\s:@]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)\b((?:ssl)?password|token)=[^&\s'\"]+", r"\1=***", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where MLflow is, with the credentials taken out of an http address.

    Attributes:
        uri: What MLflow's client is given. A database's address keeps its password.
        user: User for HTTP basic authentication, or None.
        password: Its password, or None.
    """

    uri: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, uri: str) -> Address:
        """Read an address.

        Raises:
            TrackingError: If MLflow cannot be told anything there.
        """
        try:
            parts = urlsplit(uri)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError as error:
            raise TrackingError(f"{_unusable(uri)}; {masked(str(error))}") from error
        is_http = scheme in {"http", "https"}
        if scheme.split("+")[0] not in _SCHEMES or (is_http and not host):
            raise TrackingError(_unusable(uri))
        if not is_http or "@" not in parts.netloc:
            return cls(uri=uri)
        place = parts.netloc.rpartition("@")[2]
        return cls(
            uri=urlunsplit(parts._replace(netloc=place)),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


def _unusable(uri: str) -> str:
    return (
        f"tracking: the address must be http(s)://host[:port], sqlite:////file or a database URI "
        f"of MLflow, got {masked(uri)!r}; correct it, or leave it out for a local store"
    )


def secrets(address: Address, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Collect the passwords that messages about an address may quote.

    Args:
        address: MLflow's address.
        environment: Environment variables, for those that MLflow reads a password from.
    """
    written = urlsplit(address.uri).password or ""
    known = [address.password or "", written, unquote(written)]
    known += [environment.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    # A password of one letter would mask every word.
    return tuple(secret for secret in known if len(secret) > 3)
