"""Fixtures of all tests: real data, a Ray, a PostgreSQL, a reproducible Hypothesis."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import event
from sqlalchemy.pool import Pool

from cluster.errors import ClusterError
from cluster.postgres import PostgresServer, create_postgres, find_programs
from cluster.session import prepare_environment
from tests.support.disk import Disk, mount

# Before any module imports Ray, as the collection of doctests does.
prepare_environment()

# `uv run` sets it, and messages then have "uv run" before the commands that they propose.
os.environ.pop("UV", None)

# Hundreds of processes import torch here; without bytecode each would compile all of it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell starts background processes with SIGINT ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere; a deadline would be an assertion about time.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


# Of the kinds of tests that start processes, the slowest has the largest weight.
_WEIGHTS: Final = {"cluster": 3, "ray": 2, "browser": 1, "postgres": 1, "service": 1}
# Fixtures that start Ray, PostgreSQL, or the program in a process of its own.
_SERVICE_FIXTURES: Final = frozenset({"postgres", "ray_address", "ray_home", "shell"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that start services, drop those that -m does not name, and sort files.

    The slowest files come first; otherwise a worker would end with one of them alone.
    """
    heaviest: dict[Path, int] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        fixtures = set(getattr(item, "fixturenames", ()))
        if marks & _WEIGHTS.keys() or fixtures & _SERVICE_FIXTURES:
            item.add_marker("service")
        weights = [_WEIGHTS.get(mark, 0) for mark in marks]
        heaviest[item.path] = max(heaviest.get(item.path, 0), *weights, 0)
    kept = [item for item in items if _is_named(item, config.getoption("markexpr"))]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = sorted(kept, key=lambda item: -heaviest[item.path])


def _is_named(item: pytest.Item, expression: str) -> bool:
    """Return whether ``-m`` names the test's ``slow`` or ``extended``, if it has such a mark."""
    for mark in ("slow", "extended"):
        if item.get_closest_marker(mark) is not None:
            return mark in expression
    return True


@pytest.fixture(autouse=True)
def _no_plugins() -> Iterator[None]:
    """Forget the plug-ins that a test loaded."""
    yield
    plugins = sys.modules.get("trainables.plugins")
    if plugins is not None:
        plugins.unload_all()


@pytest.fixture(scope="session")
def challenger_data() -> Path:
    """Return the root of the real data, or skip."""
    root = os.environ.get("CHALLENGER_DATA")
    if not root:
        pytest.skip("reads real data: set CHALLENGER_DATA to the data root")
    return Path(root).resolve()


@pytest.fixture(scope="session")
def ray_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set a token and a folder for Ray, apart from the user's home."""
    # Paths of sockets have at most 107 characters, so that pytest's folder is too deep.
    home = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    token = tmp_path_factory.mktemp("ray") / "auth_token"
    token.write_text(secrets.token_hex(32), encoding="utf-8")
    token.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        patch.setenv("RAY_TMPDIR", str(home))
        yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_address(ray_home: Path) -> Iterator[str]:  # noqa: ARG001 (its token)
    """Start one Ray with two CPUs for all tests that need one, and yield its address."""
    from ray.cluster_utils import Cluster

    node = {
        "num_cpus": 2,
        "num_gpus": 0,
        "include_dashboard": False,
        "object_store_memory": 100_000_000,
    }
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield str(cluster.address)
    cluster.shutdown()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start one PostgreSQL for all tests that need one, or skip."""
    try:
        find_programs()
    except ClusterError as error:
        pytest.skip(str(error))
    # Root's PostgreSQL is run by another user, without access to pytest's own folder.
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    create_postgres(home)
    # Its data need not survive a crash of the machine: twice as fast.
    server = PostgresServer(home, {"fsync": "off"}, stops_with_parent=True)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Yield the URL of a new and empty database, which is dropped in the end."""
    name = f"test_{secrets.token_hex(8)}"
    address = postgres.url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as control:
        control.execute(f"CREATE DATABASE {name}")
    with _closing_pools():
        yield postgres.database_url(name)
    # A new connection: a test may have killed the server and started it again.
    with psycopg.connect(address, autocommit=True) as control:
        control.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def closed_pools() -> Iterator[None]:
    """Close the connections to PostgreSQL that a test's own pools open."""
    with _closing_pools():
        yield


@contextmanager
def _closing_pools() -> Iterator[None]:
    """Close the connections to PostgreSQL that SQLAlchemy's pools open meanwhile.

    Optuna never does, and psycopg warns of each that is thrown away while it is open.
    """
    opened: list[psycopg.Connection] = []

    def keep(connection: object, _: object) -> None:
        if isinstance(connection, psycopg.Connection):
            opened.append(connection)

    event.listen(Pool, "connect", keep)
    yield
    event.remove(Pool, "connect", keep)
    for connection in opened:
        connection.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a disk of two MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "none", path)
    yield Disk(path=path)
    subprocess.run(["umount", "--lazy", path], check=True)
