"""What nodes, drivers and servers find in their environment, whoever starts them."""

from __future__ import annotations

from typing import Final

from cluster.mlflow_server import APP_NAME
from cluster.render.settings import LaunchSettings
from cluster.session import RAY_ENVIRONMENT

# A driver sets the rest itself; these are read by what `ray start` starts.
_NODE_VARIABLES: Final = (
    "RAY_AUTH_MODE",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_CHDIR_TO_TRIAL_DIR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
)
TELEMETRY_OFF: Final = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}

# Ray's own, the dashboard's (with the Jobs API), and where each node says whether it is well.
RAY_PORT: Final = 6379
DASHBOARD_PORT: Final = 8265
HEALTH_PORT: Final = 52365
# It says so to everybody, while all else asks for the token.
HEALTH_PATH: Final = "/api/healthz"
POSTGRES_PORT: Final = 5432
MLFLOW_PORT: Final = 5000

# One server holds three databases: both Optuna and MLflow call a table `alembic_version`.
DATABASE_USER: Final = "challenger"
STUDIES_DATABASE: Final = "challenger"
MLFLOW_DATABASE: Final = "mlflow"
MLFLOW_USERS_DATABASE: Final = "mlflow_users"
MLFLOW_ADMIN: Final = "admin"

# Of a machine's memory; with less, Ray puts its objects on the disk.
_SHARED_MEMORY_FRACTION: Final = 0.3


def shared_memory_mb(memory_gb: int) -> int:
    """Give how much memory the processes of a node share, in MiB.

    Example:
        >>> shared_memory_mb(16)
        4915
    """
    return round(1024 * _SHARED_MEMORY_FRACTION * memory_gb)


def node_environment() -> dict[str, str]:
    """Give what every node's processes find."""
    return {name: RAY_ENVIRONMENT[name] for name in _NODE_VARIABLES}


def driver_environment(
    settings: LaunchSettings, database: str = "", tracking: str = ""
) -> dict[str, str]:
    """Give what ``challenger-study`` finds on the head; no password is among it.

    Args:
        settings: The settings.
        database: Address of the database that the launch file itself starts.
        tracking: The same of MLflow.
    """
    driver_variables = {
        "CHALLENGER_STORAGE": f"{settings.storage}/studies",
        "CHALLENGER_DATA": f"{settings.storage}/data",
        "CHALLENGER_DATABASE": settings.database or database,
        "CHALLENGER_TRACKING_URI": settings.tracking or tracking,
    }
    return {name: value for name, value in driver_variables.items() if value} | TELEMETRY_OFF


def database_address(host: str, database: str) -> str:
    """Give the address of a database on a server that a launch file starts."""
    return f"postgresql+psycopg://{DATABASE_USER}@{host}:{POSTGRES_PORT}/{database}"


def create_databases_sql() -> str:
    """Give what PostgreSQL runs once, when its folder is empty."""
    names = (MLFLOW_DATABASE, MLFLOW_USERS_DATABASE)
    return "".join(f"CREATE DATABASE {name};\n" for name in names)


def mlflow_auth_config(host: str) -> str:
    """Give the file that says where MLflow keeps its users.

    A password is looked at by a slow function on every call; kept for a minute, a study's many
    small calls do not wait for it.
    """
    return (
        "[mlflow]\n"
        f"admin_username = {MLFLOW_ADMIN}\n"
        "auth_cache_ttl_seconds = 60\n"
        f"database_uri = {database_address(host, MLFLOW_USERS_DATABASE)}\n"
        "default_permission = NO_PERMISSIONS\n"
    )


def mlflow_environment(hosts: tuple[str, ...], database_host: str, users: str) -> dict[str, str]:
    """Give what MLflow's server finds.

    Args:
        hosts: Names by which clients call it. Without them it refuses all but localhost.
        database_host: Host of PostgreSQL.
        users: Path of what :func:`mlflow_auth_config` gives.
    """
    allowed = [name for host in (*hosts, "localhost", "127.0.0.1") for name in (host, f"{host}:*")]
    return {
        **TELEMETRY_OFF,
        "MLFLOW_AUTH_CONFIG_PATH": users,
        "MLFLOW_ARTIFACTS_DESTINATION": "/artifacts",
        "MLFLOW_BACKEND_STORE_URI": database_address(database_host, MLFLOW_DATABASE),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(allowed),
        # Ten processes and 2.4 GB otherwise, for jobs that no study has.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def mlflow_command() -> list[str]:
    """Give the command of MLflow's server, which asks everybody for a password."""
    command = ["mlflow", "server", "--app-name", APP_NAME, "--workers", "2"]
    return [*command, "--host", "0.0.0.0", "--port", str(MLFLOW_PORT)]
