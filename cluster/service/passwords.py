"""MLflow's passwords for a service that listens beyond this machine: made once, then kept."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Final

from cluster.errors import ClusterError
from cluster.service.folder import ServiceFolder

ADMIN: Final = "admin"
_CONFIG: Final = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{users}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """What MLflow's server is given by its environment.

    Attributes:
        admin: Password of the one user that it begins with.
        session_key: Signs its pages' forms.
    """

    admin: str = field(repr=False)
    session_key: str = field(repr=False)


def ensure_passwords(folder: ServiceFolder) -> Passwords:
    """Read a service's passwords, or make them; writes MLflow's settings beside them."""
    if not folder.passwords.exists():
        made = Passwords(admin=secrets.token_urlsafe(24), session_key=secrets.token_hex(32))
        folder.write_private(folder.passwords, json.dumps(asdict(made)))
    folder.write_private(folder.auth_config, _CONFIG.format(users=folder.users, admin=ADMIN))
    return read_passwords(folder)


def read_passwords(folder: ServiceFolder) -> Passwords:
    """Read a service's passwords.

    Raises:
        ClusterError: If they cannot be read.
    """
    try:
        return Passwords(**json.loads(folder.passwords.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"{folder.passwords} must hold MLflow's passwords, but: {type(error).__name__}; "
            f"restore it, or delete it together with {folder.users}, which makes new ones."
        ) from None
