"""PostgreSQL and MLflow on Kubernetes, for whoever has none that run already."""

from __future__ import annotations

from typing import Final

from cluster.render.pods import (
    PART_OF,
    Manifest,
    claim,
    component_labels,
    container_security,
    http_probe,
    manifest,
    pod,
    pod_security,
    resources,
    variables,
)
from cluster.render.settings import LaunchSettings
from cluster.render.surroundings import (
    DATABASE_USER,
    MLFLOW_PORT,
    POSTGRES_PORT,
    STUDIES_DATABASE,
    create_databases,
    mlflow_command,
    mlflow_environment,
    mlflow_users_file,
)

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


def servers(settings: LaunchSettings) -> list[Manifest]:
    """Give the manifests of the servers that do not run already."""
    found = []
    if settings.needs_postgres:
        found += [*_postgres(settings), _guard(settings, "postgres", POSTGRES_PORT)]
    if settings.needs_mlflow:
        found += [*_mlflow(settings), _guard(settings, "mlflow", MLFLOW_PORT)]
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
        manifest("v1", "ConfigMap", name, settings, data={"databases.sql": create_databases()}),
        _service(settings, name, "postgres", POSTGRES_PORT),
        manifest("apps/v1", "StatefulSet", name, settings, spec=spec),
    ]


def _postgres_container(settings: LaunchSettings) -> Manifest:
    asks = ["pg_isready", "-h", "127.0.0.1", "-U", DATABASE_USER, "-d", STUDIES_DATABASE]
    probe = {"exec": {"command": asks}, "periodSeconds": 10, "timeoutSeconds": 5}
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
    users = mlflow_users_file(postgres_host(settings))
    return [
        manifest("v1", "ConfigMap", name, settings, data={"users.ini": users}),
        claim(settings, name, "ReadWriteOnce", settings.kubernetes.artifacts_gb),
        _service(settings, name, "mlflow", MLFLOW_PORT),
        manifest("apps/v1", "Deployment", name, settings, spec=spec),
    ]


def _mlflow_container(settings: LaunchSettings) -> Manifest:
    name = mlflow_host(settings)
    longer = f"{name}.{settings.kubernetes.namespace}"
    hosts = (name, longer, f"{longer}.svc", f"{longer}.svc.cluster.local")
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


def _guard(settings: LaunchSettings, component: str, port: int) -> Manifest:
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
