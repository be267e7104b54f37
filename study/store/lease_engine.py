"""The lease's own way into the Optuna database, beside the ledger's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

from study.sqlite_file import sqlite_path
from study.store.connection import connection_options
from study.store.outage import unusable


@contextmanager
def lease_engine(url: str) -> Iterator[Engine]:
    """Give an engine whose statements are transactions of their own.

    Args:
        url: URL of the Optuna database; a missing SQLite file is made when it is first used.

    Raises:
        StoreError: If the URL leads nowhere.
    """
    try:
        path = sqlite_path(url)
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
