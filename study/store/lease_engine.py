"""The lease's own way into the Optuna database, beside the ledger's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from study.errors import StoreError
from study.store.connection import connection_options
from study.store.outage import reason
from study.tracking.address import masked

_BUSY_TIMEOUT_S: Final = 30


@contextmanager
def lease_engine(url: str) -> Iterator[Engine]:
    """Give an engine whose statements are transactions of their own.

    Args:
        url: URL of the Optuna database; a missing SQLite file is made when it is first used.

    Raises:
        StoreError: If the URL leads nowhere.
    """
    try:
        path = sqlite_file(url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            connect_args=connection_options(url),
            isolation_level="AUTOCOMMIT",
            # There is never a transaction to take back, and trying to may fail and be logged.
            pool_reset_on_return=None,
            pool_pre_ping=True,
            pool_size=1,
            max_overflow=1,
        )
    except (SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise unusable(url, error) from None
    try:
        yield engine
    finally:
        engine.dispose()


def use_write_ahead_log(engine: Engine) -> None:
    """Have an SQLite file log ahead of its writes, as the ledger does; a server always does.

    Done before the first beat: a beat at the wrong moment would keep the ledger from doing it.
    """
    if engine.dialect.name != "sqlite":
        return
    end = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            # While another process writes to the file, SQLite refuses instead of waiting.
            if "locked" not in str(error.orig) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def unusable(url: str, error: Exception) -> StoreError:
    """Say for people that a database cannot be opened, without passwords."""
    path = sqlite_file(url)
    place, remedy = (masked(url), "") if path is None else (path, "restore it, or ")
    return StoreError(
        f"the Optuna database {place} cannot be opened: {reason(error)}; {remedy}name another "
        "with --database."
    )


def sqlite_file(url: str) -> Path | None:
    """Give the file of an SQLite URL, or None for a server's."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None
