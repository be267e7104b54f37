"""The service of one machine: Ray's head, MLflow and PostgreSQL, until they are stopped."""

from __future__ import annotations

from cluster.ports import require_own_address
from cluster.service.config import ServiceConfig
from cluster.service.folder import ServiceFolder
from cluster.service.start import StartResult, start_service
from cluster.service.status import ComponentStatus, ServiceStatus, service_status
from cluster.service.stop import stop_service

__all__ = [
    "ComponentStatus",
    "ServiceConfig",
    "ServiceFolder",
    "ServiceStatus",
    "StartResult",
    "require_own_address",
    "service_status",
    "start_service",
    "stop_service",
]
