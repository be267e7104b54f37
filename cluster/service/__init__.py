"""One machine as a service: Ray's head, MLflow and PostgreSQL, until they are ended."""

from __future__ import annotations

from cluster.ports import require_own_address
from cluster.service.config import ServiceConfig
from cluster.service.folder import ServiceFolder
from cluster.service.start import StartResult, start_service
from cluster.service.status import ComponentStatus, ServiceStatus, service_status
from cluster.service.stop import stop_service

__all__ = [
    "ComponentStatus",
    "ServiceFolder",
    "ServiceStatus",
    "StartResult",
    "ServiceConfig",
    "stop_service",
    "service_status",
    "require_own_address",
    "start_service",
]
