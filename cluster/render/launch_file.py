"""Launch files from templates: one per format, which read nothing but the settings."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import jinja2
import yaml

from cluster.errors import LaunchError
from cluster.mlflow_server import APP_NAME
from cluster.node_certificate import tls_environment
from cluster.render.overrides import parse_overrides, resolve_key, setting_value
from cluster.render.settings import LaunchSettings
from cluster.session import RAY_ENVIRONMENT

# Format to its template.
LAUNCHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "compose": "compose.j2",
        "dockerfile": "dockerfile.j2",
        "kuberay": "kuberay.j2",
        "ray-up": "ray_up.j2",
        "slurm": "slurm.j2",
    }
)
_PLAIN_TEXT: Final = ("dockerfile", "slurm")

# A driver sets the rest itself; these are read by what `ray start` starts.
_NODE_VARIABLES: Final = (
    "RAY_AUTH_MODE",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_CHDIR_TO_TRIAL_DIR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
)
_TELEMETRY_OFF: Final = {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
# Of a machine's memory; with less, Ray puts its objects on the disk.
_SHARED_MEMORY_FRACTION: Final = 0.3


def render_launch_file(
    launcher: str, pairs: Sequence[str], command: str = "", file: str = "FILE"
) -> str:
    """Return the text of a launch file.

    Args:
        launcher: Name of a format.
        pairs: Overrides such as ``workers.max=8``.
        command: Command with which the file is made, for its first line.
        file: Name of the file, for the commands in its comments.

    Raises:
        LaunchError: If there is no such format, a setting is wrong, or one changes nothing in this
            format.
    """
    if launcher not in LAUNCHERS:
        close = difflib.get_close_matches(launcher, LAUNCHERS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(LAUNCHERS)}."
        raise LaunchError(f"{launcher!r} is no format of launch files; {hint}")
    settings = parse_overrides(pairs)
    text = render_settings(launcher, settings, command, file)
    for pair in pairs:
        key = resolve_key(pair)
        if setting_value(settings, key) != setting_value(LaunchSettings(), key):
            rest = [other for other in pairs if other != pair]
            try:
                without = render_settings(launcher, parse_overrides(rest), command, file)
            except LaunchError:
                # The other settings require it.
                continue
            if without == text:
                raise LaunchError(
                    f"{key} changes nothing in a {launcher} file with these settings; leave it "
                    "out."
                )
    return text


def render_settings(
    launcher: str, settings: LaunchSettings, command: str = "", file: str = "FILE"
) -> str:
    """Return the text of a launch file with these settings.

    Raises:
        LaunchError: If machines of AWS lack their file system.
    """
    if launcher == "ray-up" and settings.ray_up.provider == "aws" and not settings.aws.file_system:
        raise LaunchError(
            "aws.file_system must name the EFS file system that all machines share, but is "
            "empty; give --set aws.file_system=fs-….efs.REGION.amazonaws.com."
        )
    template = _environment().get_template(LAUNCHERS[launcher])
    text = template.render(
        dict(settings),
        command=command,
        file=file,
        needs_mlflow=settings.needs_mlflow,
        needs_postgres=settings.needs_postgres,
        driver_environment=partial(_driver_environment, settings),
    )
    return text if launcher in _PLAIN_TEXT else _normalize_yaml(text)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: (files("cluster.render") / "templates" / name).read_text(encoding="utf-8")
        ),
        undefined=jinja2.StrictUndefined,
        # Scripts and manifests are no HTML.
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters["quote"] = shlex.quote
    environment.filters["to_yaml"] = lambda data: _to_yaml(data).rstrip("\n")
    environment.globals |= {
        "assignments": lambda values: " ".join(f"{k}={v}" for k, v in values.items()),
        "create_databases": "CREATE DATABASE mlflow;\nCREATE DATABASE mlflow_users;\n",
        "database_url": _database_url,
        "mlflow_command": [
            *("mlflow", "server", "--app-name", APP_NAME, "--workers", "2"),
            *("--host", "0.0.0.0", "--port", "5000"),
        ],
        "mlflow_environment": _mlflow_environment,
        "mlflow_users": _mlflow_users,
        "node_environment": {name: RAY_ENVIRONMENT[name] for name in _NODE_VARIABLES},
        "shared_memory_mb": lambda gb: round(1024 * _SHARED_MEMORY_FRACTION * gb),
        "telemetry_off": _TELEMETRY_OFF,
        "tls_environment": tls_environment,
    }
    return environment


def _driver_environment(
    settings: LaunchSettings, database: str = "", tracking: str = ""
) -> dict[str, str]:
    """Return the variables of ``challenger-study`` on the head; none holds a password.

    ``database`` and ``tracking`` are the URLs of servers that the launch file itself starts.
    """
    variables = {
        "CHALLENGER_STORAGE": f"{settings.storage}/studies",
        "CHALLENGER_DATA": f"{settings.storage}/data",
        "CHALLENGER_DATABASE": settings.database or database,
        "CHALLENGER_TRACKING_URI": settings.tracking or tracking,
    }
    return {name: value for name, value in variables.items() if value} | _TELEMETRY_OFF


# One server holds three databases: both Optuna and MLflow have a table `alembic_version`.
def _database_url(host: str, database: str) -> str:
    return f"postgresql+psycopg://challenger@{host}:5432/{database}"


def _mlflow_users(host: str) -> str:
    """Return the configuration of MLflow's users.

    A password is verified by a slow function on every call; the cache keeps a study's many small
    calls from waiting for it.
    """
    return (
        "[mlflow]\n"
        "admin_username = admin\n"
        "auth_cache_ttl_seconds = 60\n"
        f"database_uri = {_database_url(host, 'mlflow_users')}\n"
        "default_permission = NO_PERMISSIONS\n"
    )


def _mlflow_environment(hosts: Sequence[str], database_host: str) -> dict[str, str]:
    """Return the variables of MLflow's server; it refuses all hosts but those named."""
    allowed = [name for host in (*hosts, "localhost", "127.0.0.1") for name in (host, f"{host}:*")]
    return {
        **_TELEMETRY_OFF,
        "MLFLOW_AUTH_CONFIG_PATH": "/etc/mlflow/users.ini",
        "MLFLOW_ARTIFACTS_DESTINATION": "/artifacts",
        "MLFLOW_BACKEND_STORE_URI": _database_url(database_host, "mlflow"),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(allowed),
        # Ten processes and 2.4 GB otherwise, for jobs that no study has.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _normalize_yaml(text: str) -> str:
    """Keep the comments at the top and write the documents below in block style."""
    lines = text.splitlines(keepends=True)
    n_comments = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return "".join(lines[:n_comments]) + _to_yaml(*yaml.safe_load_all("".join(lines[n_comments:])))


def _to_yaml(*documents: object) -> str:
    return yaml.dump_all(
        documents,
        Dumper=_YamlDumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
        explicit_start=len(documents) > 1,
    )


class _YamlDumper(yaml.SafeDumper):
    """A dumper without references, with indented lists and literal texts of several lines."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 (pyyaml's)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_YamlDumper.add_representer(str, _represent_text)
