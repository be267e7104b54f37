"""MLflow's tracking URI: credentials, masked passwords, and a health check of its server."""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from cluster.plain_errors import plain_reason
from cluster.port_owner import foreign_server_error
from study.records.errors import TrackingError, mask_passwords

_SCHEMES: Final = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingUri:
    """MLflow's address, with the credentials of an http address apart.

    Attributes:
        uri: What MLflow's client is given. A database's address keeps its password.
        user: User for HTTP basic authentication, or None.
        password: Its password, or None.
    """

    uri: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, uri: str) -> TrackingUri:
        """Read an address.

        Raises:
            TrackingError: If MLflow's client cannot use it.
        """
        try:
            parts = urlsplit(uri)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError as error:
            raise TrackingError(f"{_unusable(uri)}; {mask_passwords(str(error))}") from error
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
        f"of MLflow, got {mask_passwords(uri)!r}; correct it, or leave it out for a local store"
    )


def secrets(address: TrackingUri, environment: Mapping[str, str]) -> tuple[str, ...]:
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


# The least that a client may ask for; unlike /health it checks host name and password.
_PROBE_PATH: Final = "/api/2.0/mlflow/experiments/search?max_results=1"
_TIMEOUT_S: Final = 30.0
_REASONS: Final = {
    401: "it asks for a user and a password; set CHALLENGER_TRACKING_URI to "
    "http://USER:PASSWORD@HOST:PORT where the driver runs",
    403: "it refuses this host name or user; start it with the name among "
    "MLFLOW_SERVER_ALLOWED_HOSTS, or give the user permission",
    404: "nothing of MLflow's is there; correct the address",
}


def check_tracking_server(uri: str) -> None:
    """Make sure that an MLflow server answers and lets us in; a database needs no server.

    Raises:
        TrackingError: If it does not, with what to do.
    """
    address = TrackingUri.parse(uri)
    if not address.uri.startswith(("http://", "https://")):
        return
    if (reason := foreign_server_error(address.uri)) is not None:
        raise TrackingError(_unreachable(uri, reason, "choose another port"))
    request = urllib.request.Request(
        address.uri.rstrip("/") + _PROBE_PATH, headers=_headers(address, os.environ)
    )
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        reason = _REASONS.get(error.code, "look at its log, or start it again")
        raise TrackingError(_unreachable(uri, f"HTTP {error.code}", reason)) from None
    except (OSError, ValueError) as error:
        why = plain_reason(getattr(error, "reason", None) or error)
        raise TrackingError(
            _unreachable(uri, why, "start it, or correct --tracking-uri")
        ) from None


def _headers(address: TrackingUri, environment: Mapping[str, str]) -> dict[str, str]:
    """Identify ourselves as MLflow's client would."""
    user = address.user or environment.get("MLFLOW_TRACKING_USERNAME")
    if user is not None:
        password = address.password or environment.get("MLFLOW_TRACKING_PASSWORD", "")
        code = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {code}"}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _unreachable(uri: str, came: str, todo: str) -> str:
    return (
        f"the tracking server {mask_passwords(uri)} must take the study's results, but: "
        f"{mask_passwords(came)}; {todo}. 'run' does without for as long as it is away."
    )
