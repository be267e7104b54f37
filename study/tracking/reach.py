"""Whether a tracking server would take a study's results, asked once before there are any."""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final

from study.errors import TrackingError
from study.tracking.address import Address, masked

# The least that a client may ask for; unlike /health it checks host name and password.
_QUESTION: Final = "/api/2.0/mlflow/experiments/search?max_results=1"
_PATIENCE_S: Final = 30.0
_REASONS: Final = {
    401: "it asks for a user and a password; set CHALLENGER_TRACKING_URI to "
    "http://USER:PASSWORD@HOST:PORT where the driver runs",
    403: "it refuses this host name or user; start it with the name among "
    "MLFLOW_SERVER_ALLOWED_HOSTS, or give the user permission",
    404: "nothing of MLflow's is there; correct the address",
}


def require_tracking(uri: str) -> None:
    """Make sure that an MLflow server answers and lets us in; a database needs no server.

    Raises:
        TrackingError: If it does not, with what to do.
    """
    address = Address.of(uri)
    if not address.uri.startswith(("http://", "https://")):
        return
    request = urllib.request.Request(
        address.uri.rstrip("/") + _QUESTION, headers=_headers(address, os.environ)
    )
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        reason = _REASONS.get(error.code, "look at its log, or start it again")
        raise TrackingError(_unreached(uri, f"HTTP {error.code}", reason)) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise TrackingError(
            _unreached(uri, str(why), "start it, or correct --tracking-uri")
        ) from None


def _headers(address: Address, environment: Mapping[str, str]) -> dict[str, str]:
    """Identify ourselves as MLflow's client would."""
    user = address.user or environment.get("MLFLOW_TRACKING_USERNAME")
    if user is not None:
        password = address.password or environment.get("MLFLOW_TRACKING_PASSWORD", "")
        code = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {code}"}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _unreached(uri: str, came: str, todo: str) -> str:
    return (
        f"the tracking server {masked(uri)} must take the study's results, but: {masked(came)}; "
        f"{todo}. 'run' does without for as long as it is away."
    )
