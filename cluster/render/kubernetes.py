"""Kubernetes manifests: what all pods have in common, and PostgreSQL and MLflow as servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cluster.render.environment import (
    DATABASE_USER,
    MLFLOW_PORT,
    POSTGRES_PORT,
    STUDIES_DATABASE,
    create_databases_sql,
    mlflow_auth_config,
    mlflow_command,
    mlflow_environment,
)
from cluster.render.launch_file import drop_empty
from cluster.render.settings import LaunchSettings

PART_OF: Final = "app.kubernetes.io/part-of"

Manifest = dict[str, Any]


def manifest(api: str, kind: str, name: str, settings: LaunchSettings, **rest: Any) -> Manifest:  # noqa: ANN401
    """Give a manifest in the settings' namespace; ``rest`` is what comes after the metadata."""
    metadata = {
        "name": name,
        "namespace": settings.kubernetes.namespace,
        "labels": {PART_OF: settings.name},
    }
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def component_labels(settings: LaunchSettings, component: str) -> dict[str, str]:
    """Give the labels by which pods are found."""
    return {PART_OF: settings.name, "app.kubernetes.io/component": component}


def pod_security(user_id: int) -> Manifest:
    """Give what keeps a pod's processes from being root; its volumes belong to their group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        # A large volume would be gone through at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Give what keeps a container's processes from gaining rights."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod(settings: LaunchSettings, component: str, **spec: Any) -> Manifest:  # noqa: ANN401
    """Give a pod template; ``spec`` is what a component's pod holds."""
    secret = settings.kubernetes.pull_secret
    return {
        "metadata": {"labels": component_labels(settings, component)},
        "spec": {
            # Nothing here talks to Kubernetes, but the autoscaler, to whom KubeRay gives a token.
            "automountServiceAccountToken": False,
            **drop_empty({"imagePullSecrets": [{"name": secret}] if secret else []}),
            **spec,
        },
    }


def resources(cpus: str, memory: str, others: Mapping[str, int] | None = None) -> Manifest:
    """Give requests that equal limits: what is promised is there."""
    amounts = {"cpu": cpus, "memory": memory, **(others or {})}
    return {"requests": amounts, "limits": amounts}


def variables(plain: Mapping[str, str], secret: Mapping[str, tuple[str, str]]) -> list[Manifest]:
    """Give a container's environment.

    Args:
        plain: Name to value.
        secret: Name to the name of a Secret and its key.
    """
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": where, "key": key}}}
            for name, (where, key) in secret.items()
        ),
    ]


def http_probe(path: str, port: int, period_s: int, failures: int) -> Manifest:
    """Give a probe that asks for a page."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def claim(
    settings: LaunchSettings, name: str, mode: str, storage_gb: int, storage_class: str = ""
) -> Manifest:
    """Give a claim for storage."""
    spec = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": f"{storage_gb}Gi"}},
        **drop_empty({"storageClassName": storage_class}),
    }
    return manifest("v1", "PersistentVolumeClaim", name, settings, spec=spec)


# The number of the user 'postgres' in PostgreSQL's image.
_POSTGRES_USER: Final = 999
_DATA: Final = "/var/lib/postgresql/data"


def secret_name(settings: LaunchSettings) -> str:
    """Give the name of the Secret with all passwords, which the user makes."""
    return f"{settings.name}-secrets"


def postgres_host(settings: LaunchSettings) -> str:
    """Give the name by which pods of the namespace call PostgreSQL."""
    return f"{settings.name}-postgres"


def mlflow_host(settings: LaunchSettings) -> str:
    """Give the name by which pods of the namespace call MLflow."""
    return f"{settings.name}-mlflow"


def server_manifests(settings: LaunchSettings) -> list[Manifest]:
    """Give the manifests of the servers that do not run already."""
    found = []
    if settings.needs_postgres:
        found += [*_postgres(settings), _network_policy(settings, "postgres", POSTGRES_PORT)]
    if settings.needs_mlflow:
        found += [*_mlflow(settings), _network_policy(settings, "mlflow", MLFLOW_PORT)]
    return found


def _postgres(settings: LaunchSettings) -> list[Manifest]:
    name = postgres_host(settings)
    labels = component_labels(settings, "postgres")
    data = claim(settings, "data", "ReadWriteOnce", settings.kubernetes.database_gb)
    spec = {
        "serviceName": name,
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": pod(
            settings,
            "postgres",
            securityContext=pod_security(_POSTGRES_USER),
            terminationGracePeriodSeconds=60,
            containers=[_postgres_container(settings)],
            volumes=[
                {"name": "databases", "configMap": {"name": name}},
                {"name": "sockets", "emptyDir": {}},
            ],
        ),
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": data["spec"]}],
    }
    return [
        manifest(
            "v1", "ConfigMap", name, settings, data={"databases.sql": create_databases_sql()}
        ),
        _service(settings, name, "postgres", POSTGRES_PORT),
        manifest("apps/v1", "StatefulSet", name, settings, spec=spec),
    ]


def _postgres_container(settings: LaunchSettings) -> Manifest:
    command = ["pg_isready", "-h", "127.0.0.1", "-U", DATABASE_USER, "-d", STUDIES_DATABASE]
    probe = {"exec": {"command": command}, "periodSeconds": 10, "timeoutSeconds": 5}
    environment = {
        "POSTGRES_USER": DATABASE_USER,
        "POSTGRES_DB": STUDIES_DATABASE,
        # A volume's own folder may hold 'lost+found', which initdb refuses.
        "PGDATA": f"{_DATA}/pgdata",
    }
    secret = {"POSTGRES_PASSWORD": (secret_name(settings), "database-password")}
    return {
        "name": "postgres",
        "image": settings.postgres,
        "env": variables(environment, secret),
        "ports": [{"name": "postgres", "containerPort": POSTGRES_PORT}],
        "resources": resources("1", "2Gi"),
        "securityContext": container_security(),
        "startupProbe": {**probe, "failureThreshold": 30},
        "readinessProbe": {**probe, "failureThreshold": 3},
        "livenessProbe": {**probe, "failureThreshold": 6},
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "databases", "mountPath": "/docker-entrypoint-initdb.d", "readOnly": True},
            {"name": "sockets", "mountPath": "/var/run/postgresql"},
        ],
    }


def _mlflow(settings: LaunchSettings) -> list[Manifest]:
    name = mlflow_host(settings)
    spec = {
        "replicas": 1,
        # Two would write to one claim.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": component_labels(settings, "mlflow")},
        "template": pod(
            settings,
            "mlflow",
            securityContext=pod_security(settings.user_id),
            containers=[_mlflow_container(settings)],
            volumes=[
                {"name": "artifacts", "persistentVolumeClaim": {"claimName": name}},
                {"name": "users", "configMap": {"name": name}},
            ],
        ),
    }
    users = mlflow_auth_config(postgres_host(settings))
    return [
        manifest("v1", "ConfigMap", name, settings, data={"users.ini": users}),
        claim(settings, name, "ReadWriteOnce", settings.kubernetes.artifacts_gb),
        _service(settings, name, "mlflow", MLFLOW_PORT),
        manifest("apps/v1", "Deployment", name, settings, spec=spec),
    ]


def _mlflow_container(settings: LaunchSettings) -> Manifest:
    name = mlflow_host(settings)
    qualified = f"{name}.{settings.kubernetes.namespace}"
    hosts = (name, qualified, f"{qualified}.svc", f"{qualified}.svc.cluster.local")
    plain = mlflow_environment(hosts, postgres_host(settings), "/etc/mlflow/users.ini")
    secret = secret_name(settings)
    secrets = {
        "PGPASSWORD": (secret, "database-password"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": (secret, "mlflow-password"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": (secret, "mlflow-key"),
    }
    return {
        "name": "mlflow",
        "image": settings.image,
        "command": mlflow_command(),
        "env": variables(plain, secrets),
        "ports": [{"name": "http", "containerPort": MLFLOW_PORT}],
        "resources": resources("1", "2Gi"),
        "securityContext": container_security(),
        # A fresh database took 22 s on two shared cores.
        "startupProbe": http_probe("/health", MLFLOW_PORT, 10, 30),
        "readinessProbe": http_probe("/health", MLFLOW_PORT, 10, 3),
        "livenessProbe": http_probe("/health", MLFLOW_PORT, 20, 6),
        "volumeMounts": [
            {"name": "artifacts", "mountPath": "/artifacts"},
            {"name": "users", "mountPath": "/etc/mlflow", "readOnly": True},
        ],
    }


def _service(settings: LaunchSettings, name: str, component: str, port: int) -> Manifest:
    spec = {
        "type": "ClusterIP",
        "selector": component_labels(settings, component),
        "ports": [{"name": component, "port": port, "targetPort": port}],
    }
    return manifest("v1", "Service", name, settings, spec=spec)


def _network_policy(settings: LaunchSettings, component: str, port: int) -> Manifest:
    """Give what lets only pods of this cluster connect, where the network heeds policies."""
    spec = {
        "podSelector": {"matchLabels": component_labels(settings, component)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {PART_OF: settings.name}}}],
                "ports": [{"port": port}],
            }
        ],
    }
    name = f"{settings.name}-{component}"
    return manifest("networking.k8s.io/v1", "NetworkPolicy", name, settings, spec=spec)
