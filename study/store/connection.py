"""How the Optuna database is connected to: for how long a silent one is believed in."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

# Another process may write to the file meanwhile, or copy it.
_BUSY_TIMEOUT_S: Final = 30
# A server that went away without a word is given up within 6 s and asked anew: less than a lease.
_PATIENCE: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
}


def connection_options(url: str) -> dict[str, Any]:
    """Give the driver's options for a database; what the user wrote into the URL counts.

    Example:
        >>> connection_options("sqlite:////studies/optuna.db")
        {'timeout': 30}
        >>> connection_options("mysql://host/studies")
        {}
    """
    if url.startswith("sqlite:"):
        return {"timeout": _BUSY_TIMEOUT_S}
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        # Whoever connects says so.
        return {}
    if parts.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in _PATIENCE.items() if name not in parts.query}
