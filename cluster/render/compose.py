"""Docker Compose: everything on one machine, each part in a container of its own."""

from __future__ import annotations

from typing import Any, Final

from cluster.render.environment import (
    DASHBOARD_PORT,
    DATABASE_USER,
    HEALTH_PATH,
    HEALTH_PORT,
    MLFLOW_ADMIN,
    MLFLOW_PORT,
    RAY_PORT,
    STUDIES_DATABASE,
    TELEMETRY_OFF,
    create_databases_sql,
    database_address,
    driver_environment,
    mlflow_auth_config,
    mlflow_command,
    mlflow_environment,
    node_environment,
    shared_memory_mb,
)
from cluster.render.launch_file import LaunchFile, usage_lines
from cluster.render.settings import LaunchSettings

_POSTGRES: Final = "postgres"
_MLFLOW: Final = "mlflow"
_OPTUNA_PORT: Final = 8080
_SECRETS: Final = "/run/secrets"
_GENERATED_SECRETS: Final = ("database_password", "mlflow_key", "mlflow_password", "ray_token")
# PostgreSQL's image starts as root, takes its folder and becomes another user.
_POSTGRES_CAPABILITIES: Final = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]


def render(settings: LaunchSettings) -> LaunchFile:
    """Write a Compose file: head, workers, and the servers that do not run already."""
    services = {"head": _head(settings), "worker": _worker(settings)}
    if settings.needs_postgres:
        services[_POSTGRES] = _postgres(settings)
    if settings.needs_mlflow:
        services[_MLFLOW] = _mlflow(settings)
    if settings.compose.dashboard:
        services["dashboard"] = _dashboard(settings)
    used = {name for service in services.values() for name in _sources(service, "secrets")}
    configs = {name for service in services.values() for name in _sources(service, "configs")}
    project: dict[str, Any] = {
        "name": settings.name,
        "services": services,
        "volumes": {name: {} for name in _volumes(settings)},
        "secrets": {name: {"file": f"./secrets/{name}"} for name in sorted(used)},
    }
    if configs:
        contents = {
            "databases.sql": create_databases_sql(),
            "users.ini": mlflow_auth_config(_POSTGRES),
        }
        project["configs"] = {name: {"content": contents[name]} for name in sorted(configs)}
    return LaunchFile(usage=_usage(settings, sorted(used)), content=(project,))


def _sources(service: dict[str, Any], kind: str) -> list[str]:
    return [one["source"] for one in service.get(kind, [])]


def _volumes(settings: LaunchSettings) -> list[str]:
    volumes = ["storage"]
    if settings.needs_postgres:
        volumes.append("database")
    if settings.needs_mlflow:
        volumes.append("artifacts")
    return volumes


def _service(settings: LaunchSettings, image: str = "") -> dict[str, Any]:
    return {
        "image": image or settings.image,
        "restart": "unless-stopped",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _ray(settings: LaunchSettings, cpus: int, memory_gb: int) -> dict[str, Any]:
    """Give what the head and a worker have in common."""
    return {
        **_service(settings),
        # Reaps the processes of trials that were killed.
        "init": True,
        "user": f"{settings.user_id}:{settings.user_id}",
        "cpus": str(cpus),
        "mem_limit": f"{memory_gb}g",
        "shm_size": f"{shared_memory_mb(memory_gb)}m",
        "ulimits": {"nofile": 65536},
        "volumes": [f"storage:{settings.storage}"],
        "healthcheck": _healthcheck(
            f"wget -q -T 2 -O /dev/null http://127.0.0.1:{HEALTH_PORT}{HEALTH_PATH}"
        ),
    }


def _head(settings: LaunchSettings) -> dict[str, Any]:
    own = database_address(_POSTGRES, STUDIES_DATABASE)
    driver_variables = driver_environment(settings, own, f"http://{_MLFLOW}:{MLFLOW_PORT}")
    start = f"ray start --head --block --port={RAY_PORT} --num-cpus=0 --num-gpus=0"
    start += f" --disable-usage-stats --dashboard-host=0.0.0.0 --dashboard-port={DASHBOARD_PORT}"
    dependencies = [_POSTGRES] if not settings.database else []
    dependencies += [_MLFLOW] if settings.needs_mlflow else []
    depends_on = {"depends_on": {name: {"condition": "service_healthy"} for name in dependencies}}
    return {
        **_ray(settings, settings.head.cpus, settings.head.memory_gb),
        "command": start.split(),
        "environment": {
            **node_environment(),
            "RAY_AUTH_TOKEN_PATH": f"{_SECRETS}/ray_token",
            **driver_variables,
            "PGPASSFILE": f"{_SECRETS}/pgpass",
        },
        "secrets": [
            *_secrets("ray_token", "pgpass"),
            {
                "source": "mlflow_credentials",
                "target": "/home/challenger/.mlflow/credentials",
            },
        ],
        "ports": [_port_mapping(DASHBOARD_PORT)],
        **(depends_on if dependencies else {}),
    }


def _worker(settings: LaunchSettings) -> dict[str, Any]:
    workers = settings.workers
    start = f"ray start --block --address=head:{RAY_PORT} --disable-usage-stats"
    start += f" --num-cpus={workers.cpus} --num-gpus={workers.gpus}"
    deploy: dict[str, Any] = {"replicas": workers.min}
    if workers.gpus:
        device = {"driver": "nvidia", "count": workers.gpus, "capabilities": ["gpu"]}
        deploy["resources"] = {"reservations": {"devices": [device]}}
    return {
        **_ray(settings, workers.cpus, workers.memory_gb),
        "command": start.split(),
        "environment": {
            **node_environment(),
            "RAY_AUTH_TOKEN_PATH": f"{_SECRETS}/ray_token",
        },
        "secrets": _secrets("ray_token"),
        "deploy": deploy,
        "depends_on": {"head": {"condition": "service_healthy"}},
    }


def _postgres(settings: LaunchSettings) -> dict[str, Any]:
    return {
        **_service(settings, settings.postgres),
        "cap_add": _POSTGRES_CAPABILITIES,
        "shm_size": "256m",
        "environment": {
            "POSTGRES_USER": DATABASE_USER,
            "POSTGRES_DB": STUDIES_DATABASE,
            "POSTGRES_PASSWORD_FILE": f"{_SECRETS}/database_password",
        },
        "secrets": _secrets("database_password"),
        "configs": [
            {"source": "databases.sql", "target": "/docker-entrypoint-initdb.d/databases.sql"}
        ],
        "volumes": ["database:/var/lib/postgresql/data"],
        "healthcheck": _healthcheck(
            f"pg_isready -h 127.0.0.1 -U {DATABASE_USER} -d {STUDIES_DATABASE}"
        ),
    }


def _mlflow(settings: LaunchSettings) -> dict[str, Any]:
    # Compose would put a variable of its own in the place of a single dollar.
    key, password = (f'"$$(cat {_SECRETS}/{name})"' for name in ("mlflow_key", "mlflow_password"))
    secrets = f"MLFLOW_FLASK_SERVER_SECRET_KEY={key} MLFLOW_AUTH_ADMIN_PASSWORD={password}"
    return {
        **_service(settings),
        "user": f"{settings.user_id}:{settings.user_id}",
        "command": ["bash", "-c", f"{secrets} exec {' '.join(mlflow_command())}"],
        "environment": {
            **mlflow_environment((_MLFLOW,), _POSTGRES, "/etc/mlflow/users.ini"),
            "PGPASSFILE": f"{_SECRETS}/pgpass",
        },
        "secrets": _secrets("mlflow_key", "mlflow_password", "pgpass"),
        "configs": [{"source": "users.ini", "target": "/etc/mlflow/users.ini"}],
        "volumes": ["artifacts:/artifacts"],
        "ports": [_port_mapping(MLFLOW_PORT)],
        # A fresh database took 22 s on two shared cores.
        "healthcheck": _healthcheck(
            f"wget -q -T 4 -O /dev/null http://127.0.0.1:{MLFLOW_PORT}/health"
        ),
        "depends_on": {_POSTGRES: {"condition": "service_healthy"}},
    }


def _dashboard(settings: LaunchSettings) -> dict[str, Any]:
    address = settings.database or database_address(_POSTGRES, STUDIES_DATABASE)
    dependencies = {"depends_on": {_POSTGRES: {"condition": "service_healthy"}}}
    return {
        **_service(settings),
        "user": f"{settings.user_id}:{settings.user_id}",
        "command": ["optuna-dashboard", address, "--host", "0.0.0.0", "--port", f"{_OPTUNA_PORT}"],
        # It asks nobody for a password and can change trials: the database lets it read alone.
        "environment": {
            **TELEMETRY_OFF,
            "PGOPTIONS": "-c default_transaction_read_only=on",
            "PGPASSFILE": f"{_SECRETS}/pgpass",
        },
        "secrets": _secrets("pgpass"),
        "ports": [_port_mapping(_OPTUNA_PORT)],
        **(dependencies if not settings.database else {}),
    }


def _secrets(*names: str) -> list[dict[str, str]]:
    return [{"source": name, "target": name} for name in names]


def _port_mapping(port: int) -> str:
    return f"127.0.0.1:{port}:{port}"


def _healthcheck(command: str) -> dict[str, Any]:
    return {
        "test": ["CMD", *command.split()],
        "interval": "10s",
        "timeout": "5s",
        "retries": 6,
        "start_period": "120s",
    }


def _usage(settings: LaunchSettings, secrets: list[str]) -> tuple[str, ...]:
    lines = f"""
        Beside this file, once: the image, and secrets that the number {settings.user_id} alone
        may read. Where that is not you, take 'sudo chown {settings.user_id} secrets/*' as well,
        or '--set user_id=$(id -u)' for image and file.
          challenger-study cluster render dockerfile -o Dockerfile   # at the top of the sources
          docker build --tag {settings.image} .
          (umask 077; mkdir secrets; cd secrets
    """
    run = f"challenger-study run {settings.storage}/{settings.study} --address auto"
    after = f"""
        Start it, run a study, end it (FILE is this file); what was kept stays in its volumes:
          docker compose -f FILE up --detach --wait
          docker compose -f FILE cp {settings.study} head:{settings.storage}/{settings.study}
          docker compose -f FILE exec head {run}
          docker compose -f FILE down
        On this machine alone: Ray at http://127.0.0.1:{DASHBOARD_PORT} (secrets/ray_token)
    """
    shown = list(usage_lines(after))
    if settings.needs_mlflow:
        shown.append(
            f"and MLflow at http://127.0.0.1:{MLFLOW_PORT} (admin, secrets/mlflow_password)"
        )
    if settings.compose.dashboard:
        shown.append(f"and Optuna's dashboard at http://127.0.0.1:{_OPTUNA_PORT} (reads alone)")
    return (*usage_lines(lines), *_secret_commands(settings, secrets), *shown)


def _secret_commands(settings: LaunchSettings, secrets: list[str]) -> list[str]:
    """Give the lines that make the secrets, none of which is seen in a list of processes."""
    made = " ".join(name for name in secrets if name in _GENERATED_SECRETS)
    lines = [f"for name in {made}; do openssl rand -hex 24 | tr -d '\\n' >$name; done"]
    if settings.needs_postgres:
        form = f"{_POSTGRES}:*:*:{DATABASE_USER}:%s\\n"
        lines.append(f"""printf '{form}' "$(cat database_password)" >pgpass""")
    if settings.database:
        lines.append("${EDITOR:-vi} pgpass                # add a line HOST:*:*:USER:PASSWORD")
    form = "[mlflow]\\nmlflow_tracking_username = %s\\nmlflow_tracking_password = %s\\n"
    password = "PASSWORD" if settings.tracking else '"$(cat mlflow_password)"'
    lines.append(f"printf '{form}' {MLFLOW_ADMIN} {password} >mlflow_credentials")
    if settings.tracking:
        lines.append("${EDITOR:-vi} mlflow_credentials    # put the user and the password in")
    return [f"  {line}" for line in (*lines, ")")]
