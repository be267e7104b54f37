"""MLflow's server: its command line and environment, its databases, and its entry point.

MLflow creates its SQLite tables one by one. A process that is killed meanwhile would leave a
file that no MLflow opens again, so each database is created in a temporary file, under a lock,
and renamed when it is complete. ``python -m cluster.mlflow_server server --port 5000`` does so
and then executes ``mlflow``.
"""

from __future__ import annotations

import configparser
import fcntl
import glob
import importlib
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

# The entry point of mlflow_app.py.
APP_NAME: Final = "challenger"
# Password of the user OWNER, new with every start of the server.
LOGIN_VARIABLE: Final = "CHALLENGER_MLFLOW_LOGIN"
OWNER: Final = "owner"
LOGIN_PATH: Final = "/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """Settings of a server that requires user and password.

    Attributes:
        config: MLflow's configuration file of authentication, with the database of users.
        password: Password of the administrator; MLflow reads it when there are no users yet.
        session_key: Key that signs the forms of its pages.
        login: Password of the user ``owner``, for this start of the server alone.
        hosts: Names and addresses by which browsers and clients call it, the first in links.
        port: Its port.
    """

    config: Path
    password: str = field(repr=False)
    session_key: str = field(repr=False)
    login: str = field(repr=False)
    hosts: tuple[str, ...]
    port: int

    @property
    def link(self) -> str:
        """Return the address that lets its owner in; MLflow's page may follow as a fragment."""
        host = f"[{self.hosts[0]}]" if ":" in self.hosts[0] else self.hosts[0]
        return f"http://{OWNER}:{self.login}@{host}:{self.port}{LOGIN_PATH}"

    def environment(self) -> dict[str, str]:
        """Return its settings as environment variables."""
        names = [f"[{host}]" if ":" in host else host for host in self.hosts]
        # MLflow compares the Host header as it comes, with the port or without; with a star the
        # rest is a pattern too.
        hosts = [each for name in names for each in (name, f"{glob.escape(name)}:*")]
        return {
            LOGIN_VARIABLE: self.login,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.config),
            # A route that MLflow has no rule for is the administrator's.
            "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.session_key,
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
            # Origins of its own pages.
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(
                f"http://{name}:{self.port}" for name in names
            ),
        }


def server_command(host: str, port: int) -> list[str]:
    """Return the command line of MLflow's server, without the database, which may be secret."""
    command = [sys.executable, "-P", "-m", "cluster.mlflow_server", "server"]
    command += ["--host", host, "--port", str(port), "--app-name", APP_NAME]
    return [*command, "--workers", "1", "--uvicorn-opts", "--log-level warning"]


def server_environment(storage_uri: str, artifacts: Path, auth: BasicAuth) -> dict[str, str]:
    """Return the settings of MLflow's server as environment variables."""
    return {
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts.absolute().as_uri(),
        "MLFLOW_BACKEND_STORE_URI": mlflow_uri(storage_uri),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # MLflow starts another Python, which would import from the working directory first.
        "PYTHONSAFEPATH": "1",
        **auth.environment(),
    }


_SQLITE: Final = "sqlite:///"


def create_store_if_missing(uri: str, artifacts: str) -> None:
    """Create the tracking store of a URI, if that is a missing SQLite file.

    Args:
        uri: URI of the tracking store; other databases and servers are left alone.
        artifacts: URI of the artifacts of MLflow's default experiment.

    Raises:
        OSError: If the folder cannot be written to.
    """
    _create_atomically(uri, lambda new: _create_store(new, artifacts), mode=0o666)


def create_users_if_missing(uri: str) -> None:
    """Create the database of a server's users, if it is missing, readable by its owner alone.

    Raises:
        OSError: If the folder cannot be written to.
    """
    _create_atomically(uri, _create_users, mode=0o600)


def relocate_artifacts(uri: str, artifacts: Path) -> None:
    """Correct the addresses of artifacts after the folder of a SQLite file was moved or copied.

    MLflow stores absolute addresses. Experiments and runs below a folder of the same name at
    another place are those of the folder beside the database.

    Args:
        uri: URI of the tracking store; others than SQLite are left alone.
        artifacts: The folder of artifacts.
    """
    path = _sqlite_file(uri)
    if path is None or not path.exists():
        return
    here = artifacts.absolute().as_uri()
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        stored = database.execute(
            "SELECT experiment_id, artifact_location FROM experiments"
            " WHERE artifact_location LIKE 'file:%' AND artifact_location <> ?",
            (here,),
        )
        for experiment, location in stored.fetchall():
            if PurePosixPath(unquote(urlsplit(location).path)).name != artifacts.name:
                continue
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (here, experiment),
            )
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?)"
                " WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (here, len(location) + 1, experiment, len(location) + 1, f"{location}/"),
            )


def _create_atomically(uri: str, create: Callable[[str], None], *, mode: int) -> None:
    path = _sqlite_file(uri)
    if path is None or path.exists():
        return
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        # The operating system releases it when the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        partial = path.with_name(f".{path.name}.tmp")
        partial.unlink(missing_ok=True)
        partial.touch(mode)
        create(_SQLITE + quote(str(partial), safe="/ "))
        partial.rename(path)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for any other."""
    return Path(unquote(uri.removeprefix(_SQLITE))) if uri.startswith(_SQLITE) else None


def mlflow_uri(uri: str) -> str:
    """Return a tracking store's URI as MLflow is given it.

    MLflow takes the text of a SQLite URI for its path and makes that folder, with the escapes of
    special characters in its name, unless the URI names SQLite's driver too.
    """
    is_escaped = uri.startswith(_SQLITE) and "%" in uri
    return uri.replace("sqlite:", "sqlite+pysqlite:", 1) if is_escaped else uri


# Imported late: MLflow takes seconds to import, and most of the time both exist.
def _create_store(uri: str, artifacts: str) -> None:
    store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store.SqlAlchemyStore(mlflow_uri(uri), artifacts).engine.dispose()


def _create_users(uri: str) -> None:
    users = importlib.import_module("mlflow.server.auth.sqlalchemy_store").SqlAlchemyStore()
    users.init_db(uri)
    users.engine.dispose()


def main(arguments: Sequence[str]) -> None:
    """Create missing databases, and execute MLflow.

    Raises:
        OSError: If a database cannot be written to.
    """
    # The server's URI of artifacts that it serves itself.
    store = os.environ["MLFLOW_BACKEND_STORE_URI"]
    create_store_if_missing(store, "mlflow-artifacts:/")
    destination = urlsplit(os.environ["MLFLOW_ARTIFACTS_DESTINATION"])
    if destination.scheme == "file":
        relocate_artifacts(store, Path(unquote(destination.path)))
    settings = configparser.ConfigParser(interpolation=None)
    config = Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
    settings.read_string(config.read_text(encoding="utf-8"))
    create_users_if_missing(settings["mlflow"]["database_uri"])
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mlflow", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
