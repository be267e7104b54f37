"""The table of leases in the Optuna database: one row for each study that a process holds."""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
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
    create_engine,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from study.storage.database import connection_options, open_error
from study.storage.sqlite import sqlite_path, use_write_ahead_log

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process, told from every other one that ever ran anywhere.

    Attributes:
        host: Name of its machine, for people.
        machine: What its process id is unique in: a machine between two boots, or a container.
        process: Process id.
        started: When it was started, in ticks since its machine was; empty if that is not told.
    """

    host: str
    pid_namespace: str
    pid: int
    start_time: str

    def __str__(self) -> str:
        """Name the process in messages."""
        return f"process {self.pid} on {self.host}"


def current_process() -> ProcessIdentity:
    """Give the process that calls."""
    pid = os.getpid()
    start_time = _start_time(pid) or ""
    return ProcessIdentity(
        host=socket.gethostname(), pid_namespace=_pid_namespace(), pid=pid, start_time=start_time
    )


def is_alive(owner: ProcessIdentity, here: ProcessIdentity) -> bool | None:
    """Tell whether a process still runs, as far as another one can see.

    Args:
        owner: Whom to look for.
        here: Who looks, which must be the process that calls.

    Returns:
        None if that cannot be seen from here: it is on another machine, or hidden.
    """
    if owner.pid_namespace != here.pid_namespace:
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's, which runs all the same.
        pass
    start_time = _start_time(owner.pid)
    if start_time is None or not owner.start_time:
        return None
    return start_time == owner.start_time


def _start_time(pid: int) -> str | None:
    """Read when a process was started: empty for one that has ended, None if it is hidden."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name before the last bracket may hold blanks and brackets of its own.
    state, *fields = text.rpartition(")")[2].split()
    # One that was killed and whose parent has not asked for it keeps its id, but does not run.
    return "" if state in {"Z", "X"} else fields[18]


@cache
def _pid_namespace() -> str:
    host = socket.gethostname()
    try:
        # Ids of boots are copied with the image of a running machine, its name rarely is.
        boot = _BOOT_ID.read_text(encoding="utf-8").strip()
        return f"{host}/{boot}/{_PID_NAMESPACE.stat().st_ino}"
    except OSError:
        # Without /proc nobody can be looked up, so that nobody may take this for his machine.
        return f"{host}/{uuid.uuid4().hex}"


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
        raise open_error(url, error) from None
    try:
        yield engine
    finally:
        engine.dispose()


_LEASES: Final = Table(
    "challenger_lease",
    MetaData(),
    Column("study", String(512), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid_namespace", String(512), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("start_time", String(32), nullable=False),
    Column("acquired_at", String(32), nullable=False),
    Column("renewals", BigInteger, nullable=False),
    Column("renewed_at", String(32), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHolder:
    """Who holds a study, and how long he has been heard of.

    Attributes:
        owner: The process.
        token: What tells this holding from every other.
        since: When it began, by the clock of the owner's machine.
        beat: How often the owner has said since then that it still runs.
        last_beat: When it last did, by the clock of its machine. As exact as that clock, so for
            people alone: nothing is decided by it.
    """

    owner: ProcessIdentity
    token: str
    acquired_at: datetime
    renewals: int
    renewed_at: datetime

    def __str__(self) -> str:
        """Name the owner in messages."""
        return f"{self.owner} since {self.acquired_at.isoformat(timespec='seconds')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """The place in a database where the holder of one study stands.

    Each method is one statement, and so happens wholly or not at all, whoever else does the same.

    Attributes:
        engine: The database.
        study: Name of the study.
    """

    engine: Engine
    study: str

    def read(self) -> LeaseHolder | None:
        """Give the holder, or None if nobody holds the study."""
        with self.engine.connect() as connection:
            row = connection.execute(select(_LEASES).where(self._matches)).mappings().one_or_none()
        return None if row is None else _decode_holder(dict(row))

    def insert(self, owner: ProcessIdentity, token: str) -> bool:
        """Become the holder of a study that has none; tells whether nobody else was faster."""
        try:
            _execute(
                self.engine,
                insert(_LEASES).values(study=self.study, **_lease_values(owner, token)),
            )
        except IntegrityError:
            return False
        return True

    def replace(self, old: LeaseHolder, owner: ProcessIdentity, token: str) -> bool:
        """Become the holder in place of another one; False if that one was heard of since."""
        is_old = (_LEASES.c.token == old.token) & (_LEASES.c.renewals == old.renewals)
        change = update(_LEASES).where(self._matches, is_old).values(**_lease_values(owner, token))
        return _execute(self.engine, change) == 1

    def renew(self, token: str) -> bool:
        """Let others know that the holder runs; False if it is the holder no longer."""
        change = update(_LEASES).where(self._matches, _LEASES.c.token == token)
        return (
            _execute(
                self.engine, change.values(renewals=_LEASES.c.renewals + 1, renewed_at=_now())
            )
            == 1
        )

    def release(self, token: str) -> None:
        """Hold the study no longer; changes nothing if somebody else holds it."""
        _execute(self.engine, delete(_LEASES).where(self._matches, _LEASES.c.token == token))

    @property
    def _matches(self) -> ColumnElement[bool]:
        return _LEASES.c.study == self.study


@contextmanager
def open_lease_row(url: str, study: str) -> Iterator[LeaseRow]:
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
            _create_table(engine)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise open_error(url, error) from None
        yield LeaseRow(engine=engine, study=study)


def lease_holder(url: str, study: str) -> LeaseHolder | None:
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
            if not inspect(engine).has_table(_LEASES.name):
                return None
            found = LeaseRow(engine=engine, study=study).read()
        except SQLAlchemyError as error:
            raise open_error(url, error) from None
    is_over = found is not None and is_alive(found.owner, current_process()) is False
    return None if is_over else found


def _create_table(engine: Engine) -> None:
    if inspect(engine).has_table(_LEASES.name):
        # Asked first, since a user who may not make tables may use one.
        return
    statement = CreateTable(_LEASES, if_not_exists=True)
    try:
        _execute(engine, statement)
    except DBAPIError:
        # PostgreSQL waits for another who makes it at the same moment, and then complains.
        _execute(engine, statement)


def _execute(engine: Engine, statement: Executable) -> int:
    with engine.connect() as connection:
        return connection.execute(statement).rowcount


def _lease_values(owner: ProcessIdentity, token: str) -> dict[str, str | int]:
    now = _now()
    return {
        "token": token,
        "host": owner.host,
        "pid_namespace": owner.pid_namespace,
        "pid": owner.pid,
        "start_time": owner.start_time,
        "acquired_at": now,
        "renewals": 0,
        "renewed_at": now,
    }


def _decode_holder(row: dict[str, Any]) -> LeaseHolder:
    return LeaseHolder(
        owner=ProcessIdentity(
            host=row["host"],
            pid_namespace=row["pid_namespace"],
            pid=row["pid"],
            start_time=row["start_time"],
        ),
        token=row["token"],
        acquired_at=datetime.fromisoformat(row["acquired_at"]),
        renewals=row["renewals"],
        renewed_at=datetime.fromisoformat(row["renewed_at"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
