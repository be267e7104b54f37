"""One machine as a service: Ray's head, MLflow and PostgreSQL, until they are ended."""

from __future__ import annotations

from cluster.service.ending import end_service
from cluster.service.folder import ServiceFolder
from cluster.service.looking import PartState, ServiceState, look_at_service
from cluster.service.ports import require_own_address
from cluster.service.starting import Started, start_service
from cluster.service.wish import Wish

__all__ = [
    "PartState",
    "ServiceFolder",
    "ServiceState",
    "Started",
    "Wish",
    "end_service",
    "look_at_service",
    "require_own_address",
    "start_service",
]
