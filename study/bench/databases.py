"""The databases of a measurement: a study's, and one of the same kind for Optuna alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import psycopg

from cluster.postgres import PostgresServer
from cluster.postgres_folder import create_postgres
from study.sqlite_file import sqlite_url

Kind: TypeAlias = Literal["sqlite", "postgresql"]

_BARE: Final = "bare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """Two SQLAlchemy URLs.

    Attributes:
        study: Of the study's database; None for the file in its storage.
        bare: Of an empty one.
    """

    study: str | None
    bare: str


@contextmanager
def databases(kind: Kind, root: Path) -> Iterator[Databases]:
    """Give two databases on one disk, and end the server if there is one.

    Args:
        kind: Kind of both. PostgreSQL's server is one of our own, as it is installed.
        root: A folder on the disk that is meant.

    Raises:
        ClusterError: If PostgreSQL is not installed, or cannot be run here.
    """
    if kind == "sqlite":
        yield Databases(study=None, bare=sqlite_url(root / "bare.db"))
        return
    # Root lets the user postgres run the server, who must be able to pass.
    root.chmod(0o711)
    create_postgres(root / "postgres")
    server = PostgresServer(root / "postgres", ends_with_us=True)
    server.start()
    try:
        address = server.url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as control:
            control.execute(f"CREATE DATABASE {_BARE}")
        yield Databases(study=server.url, bare=server.url_of(_BARE))
    finally:
        server.stop()
