"""Who holds a study, as its Optuna database has it: one row for each study that is held."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    Executable,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from study.sqlite_file import sqlite_path, use_write_ahead_log
from study.store.lease_engine import lease_engine
from study.store.outage import unusable
from study.store.owner import Owner, is_alive, this_process

_ROWS: Final = Table(
    "challenger_lease",
    MetaData(),
    Column("study", String(512), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("machine", String(512), nullable=False),
    Column("process", BigInteger, nullable=False),
    Column("started", String(32), nullable=False),
    Column("since", String(32), nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("last_beat", String(32), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a study, and how long he has been heard of.

    Attributes:
        owner: The process.
        token: What tells this holding from every other.
        since: When it began, by the clock of the owner's machine.
        beat: How often the owner has said since then that it still runs.
        last_beat: When it last did, by the clock of its machine. As exact as that clock, so for
            people alone: nothing is decided by it.
    """

    owner: Owner
    token: str
    since: datetime
    beat: int
    last_beat: datetime

    def __str__(self) -> str:
        """Name the owner in messages."""
        return f"{self.owner} since {self.since.isoformat(timespec='seconds')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderRow:
    """The place in a database where the holder of one study stands.

    Each method is one statement, and so happens wholly or not at all, whoever else does the same.

    Attributes:
        engine: The database.
        study: Name of the study.
    """

    engine: Engine
    study: str

    def read(self) -> Holder | None:
        """Give the holder, or None if nobody holds the study."""
        with self.engine.connect() as connection:
            row = connection.execute(select(_ROWS).where(self._is_ours)).mappings().one_or_none()
        return None if row is None else _holder(dict(row))

    def enter(self, owner: Owner, token: str) -> bool:
        """Become the holder of a study that has none; tells whether nobody else was faster."""
        try:
            _execute(self.engine, insert(_ROWS).values(study=self.study, **_values(owner, token)))
        except IntegrityError:
            return False
        return True

    def replace(self, old: Holder, owner: Owner, token: str) -> bool:
        """Become the holder in place of another one; False if that one was heard of since."""
        is_old = (_ROWS.c.token == old.token) & (_ROWS.c.beat == old.beat)
        change = update(_ROWS).where(self._is_ours, is_old).values(**_values(owner, token))
        return _execute(self.engine, change) == 1

    def say_alive(self, token: str) -> bool:
        """Let others know that the holder runs; False if it is the holder no longer."""
        change = update(_ROWS).where(self._is_ours, _ROWS.c.token == token)
        return _execute(self.engine, change.values(beat=_ROWS.c.beat + 1, last_beat=_now())) == 1

    def leave(self, token: str) -> None:
        """Hold the study no longer; changes nothing if somebody else holds it."""
        _execute(self.engine, delete(_ROWS).where(self._is_ours, _ROWS.c.token == token))

    @property
    def _is_ours(self) -> ColumnElement[bool]:
        return _ROWS.c.study == self.study


@contextmanager
def open_row(url: str, study: str) -> Iterator[HolderRow]:
    """Open a study's row; the table, and the SQLite file, are made if there is none.

    Args:
        url: URL of the Optuna database.
        study: Name of the study.

    Raises:
        StoreError: If the database cannot be opened.
    """
    with lease_engine(url) as engine:
        try:
            if (path := sqlite_path(url)) is not None:
                # Before the first beat: one at the wrong moment would keep others from doing it.
                use_write_ahead_log(path)
            _make_table(engine)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise unusable(url, error) from None
        yield HolderRow(engine=engine, study=study)


def holder(url: str, study: str) -> Holder | None:
    """Tell who holds a study, on whichever machine; makes nothing.

    Args:
        url: URL of the Optuna database.
        study: Name of the study.

    Returns:
        None if nobody does, or a process of this machine did that has ended. One of another
        machine may have ended too: then ``last_beat`` stands still.

    Raises:
        StoreError: If the database cannot be opened.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    with lease_engine(url) as engine:
        try:
            if not inspect(engine).has_table(_ROWS.name):
                return None
            found = HolderRow(engine=engine, study=study).read()
        except SQLAlchemyError as error:
            raise unusable(url, error) from None
    is_over = found is not None and is_alive(found.owner, this_process()) is False
    return None if is_over else found


def _make_table(engine: Engine) -> None:
    if inspect(engine).has_table(_ROWS.name):
        # Asked first, since a user who may not make tables may use one.
        return
    statement = CreateTable(_ROWS, if_not_exists=True)
    try:
        _execute(engine, statement)
    except DBAPIError:
        # PostgreSQL waits for another who makes it at the same moment, and then complains.
        _execute(engine, statement)


def _execute(engine: Engine, statement: Executable) -> int:
    with engine.connect() as connection:
        return connection.execute(statement).rowcount


def _values(owner: Owner, token: str) -> dict[str, str | int]:
    now = _now()
    return {
        "token": token,
        "host": owner.host,
        "machine": owner.machine,
        "process": owner.process,
        "started": owner.started,
        "since": now,
        "beat": 0,
        "last_beat": now,
    }


def _holder(row: dict[str, Any]) -> Holder:
    return Holder(
        owner=Owner(
            host=row["host"],
            machine=row["machine"],
            process=row["process"],
            started=row["started"],
        ),
        token=row["token"],
        since=datetime.fromisoformat(row["since"]),
        beat=row["beat"],
        last_beat=datetime.fromisoformat(row["last_beat"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
