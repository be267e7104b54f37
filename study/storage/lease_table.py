"""The table of leases in the Optuna database: one row for each study that a process holds."""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import psutil
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
_ENDED: Final = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process, distinguished from every other one on any machine."""

    host: str
    # What the pid is unique in: a machine between two boots, or a container.
    pid_namespace: str
    pid: int
    # Seconds from boot to its start; empty if unknown.
    start_time: str

    def __str__(self) -> str:
        """Name the process in messages."""
        return f"process {self.pid} on {self.host}"


def current_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(
        host=socket.gethostname(),
        pid_namespace=_pid_namespace(),
        pid=pid,
        start_time=_start_time(pid) or "",
    )


def is_alive(owner: ProcessIdentity, here: ProcessIdentity) -> bool | None:
    """Check whether a process still runs; None if it is on another machine, or hidden."""
    if owner.pid_namespace != here.pid_namespace:
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It belongs to another user, and runs.
        pass
    start_time = _start_time(owner.pid)
    if start_time is None or not owner.start_time:
        return None
    return start_time == owner.start_time


def _start_time(pid: int) -> str | None:
    """Return the seconds from boot to a process's start: empty for a zombie, None if hidden."""
    try:
        process = psutil.Process(pid)
        if process.status() in _ENDED:
            return ""
        # Not since 1970: that changes when the machine's clock is set.
        return f"{process.create_time() - psutil.boot_time():.2f}"
    except (psutil.Error, OSError):
        return None


@cache
def _pid_namespace() -> str:
    host = socket.gethostname()
    try:
        # Boot ids are copied with the image of a running machine, its name rarely is.
        boot_id = _BOOT_ID.read_text(encoding="utf-8").strip()
        return f"{host}/{boot_id}/{_PID_NAMESPACE.stat().st_ino}"
    except OSError:
        # Without /proc no process can be looked up, so no other machine may match this one.
        return f"{host}/{uuid.uuid4().hex}"


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
    """The process that holds a study, and the token of its lease.

    Both times are by the clock of the owner's machine, which may be wrong, and only shown.
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
    """The row of one study's lease. Each method is one atomic statement."""

    engine: Engine
    study: str

    def read(self) -> LeaseHolder | None:
        """Return the holder, or None if the study has none."""
        with self.engine.connect() as connection:
            row = connection.execute(select(_LEASES).where(self._is_ours)).mappings().one_or_none()
        return None if row is None else _decode_holder(dict(row))

    def insert(self, owner: ProcessIdentity, token: str) -> bool:
        """Acquire the lease of a study that has none; False if another process was faster."""
        values = _lease_values(owner, token)
        try:
            _execute(self.engine, insert(_LEASES).values(study=self.study, **values))
        except IntegrityError:
            return False
        return True

    def replace(self, old: LeaseHolder, owner: ProcessIdentity, token: str) -> bool:
        """Replace a holder; False if its lease was renewed or replaced since it was read."""
        is_old = (_LEASES.c.token == old.token) & (_LEASES.c.renewals == old.renewals)
        change = update(_LEASES).where(self._is_ours, is_old).values(**_lease_values(owner, token))
        return _execute(self.engine, change) == 1

    def renew(self, token: str) -> bool:
        """Renew a lease; False if it was replaced or released."""
        change = update(_LEASES).where(self._is_ours, _LEASES.c.token == token)
        values = {"renewals": _LEASES.c.renewals + 1, "renewed_at": _now()}
        return _execute(self.engine, change.values(**values)) == 1

    def release(self, token: str) -> None:
        """Release a lease; another process's lease is not changed."""
        _execute(self.engine, delete(_LEASES).where(self._is_ours, _LEASES.c.token == token))

    @property
    def _is_ours(self) -> ColumnElement[bool]:
        return _LEASES.c.study == self.study


@contextmanager
def open_lease_row(url: str, study: str) -> Iterator[LeaseRow]:
    """Open a study's row; a missing table, or SQLite file, is created."""
    with _lease_engine(url) as engine:
        try:
            if (path := sqlite_path(url)) is not None:
                # Before the first renewal, which would keep other processes from doing it.
                use_write_ahead_log(path)
            _create_table(engine)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise open_error(url, error) from None
        yield LeaseRow(engine=engine, study=study)


def lease_holder(url: str, study: str) -> LeaseHolder | None:
    """Return the process that holds a study, on any machine; creates nothing.

    None if it was on this machine and has ended. One on another machine may have ended too: then
    ``renewed_at`` no longer changes.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    with _lease_engine(url) as engine:
        try:
            if not inspect(engine).has_table(_LEASES.name):
                return None
            found = LeaseRow(engine=engine, study=study).read()
        except SQLAlchemyError as error:
            raise open_error(url, error) from None
    has_ended = found is not None and is_alive(found.owner, current_process()) is False
    return None if has_ended else found


@contextmanager
def _lease_engine(url: str) -> Iterator[Engine]:
    """Yield an engine whose statements are transactions of their own."""
    try:
        if (path := sqlite_path(url)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            connect_args=connection_options(url),
            isolation_level="AUTOCOMMIT",
            # There is never a transaction to roll back, and trying may fail and be logged.
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


def _create_table(engine: Engine) -> None:
    if inspect(engine).has_table(_LEASES.name):
        # Checked first: a user without the right to create tables may use an existing one.
        return
    statement = CreateTable(_LEASES, if_not_exists=True)
    try:
        _execute(engine, statement)
    except DBAPIError:
        # PostgreSQL waits for another process that creates it at the same time, then fails.
        _execute(engine, statement)


def _execute(engine: Engine, statement: Executable) -> int:
    with engine.connect() as connection:
        return connection.execute(statement).rowcount


def _lease_values(owner: ProcessIdentity, token: str) -> dict[str, str | int]:
    times = dict.fromkeys(("acquired_at", "renewed_at"), _now())
    return {**asdict(owner), "token": token, "renewals": 0, **times}


def _decode_holder(row: dict[str, Any]) -> LeaseHolder:
    owner = ProcessIdentity(**{field.name: row[field.name] for field in fields(ProcessIdentity)})
    return LeaseHolder(
        owner=owner,
        token=row["token"],
        acquired_at=datetime.fromisoformat(row["acquired_at"]),
        renewals=row["renewals"],
        renewed_at=datetime.fromisoformat(row["renewed_at"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
