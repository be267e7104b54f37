"""The lease that keeps a study to one process: acquire, renew, release.

Two locks, taken in this order. The file lock in the study's folder is exact among the processes
of one machine, and ends with its process. The row in the Optuna database is seen by all machines
that use it, whatever storage they have; its holder renews it, and one that does not is replaced.

The file is locked by ``fcntl``, not ``filelock``: readers without the right to write check a lock,
and where a file system has no locks, ``filelock`` changes to lock files that outlive a killed
process.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

from sqlalchemy.exc import SQLAlchemyError

from study.records.errors import BusyError, StoreError
from study.storage.atomic_write import make_folder
from study.storage.database import error_message, open_error
from study.storage.layout import StudyFolder
from study.storage.lease_table import (
    LeaseHolder,
    LeaseRow,
    ProcessIdentity,
    current_process,
    is_alive,
    open_lease_row,
)

# What a database that hangs may cost at the end of a run.
_RELEASE_TIMEOUT_S: Final = 3.0
_LOCK_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """Intervals of a lease."""

    # From one renewal to the next.
    renew_s: float = 3.0
    # How long a holder on another machine is watched before it is replaced.
    expire_s: float = 15.0
    # From one read of its row to the next meanwhile.
    poll_s: float = 0.5


LEASE_TIMING: Final = LeaseTiming()


@contextmanager
def lease(
    folder: StudyFolder,
    url: str,
    on_lost: Callable[[str], None],
    on_wait: Callable[[str], None] = _log.info,
    *,
    owner: ProcessIdentity | None = None,
    timing: LeaseTiming = LEASE_TIMING,
) -> Iterator[None]:
    """Hold a study while it runs.

    However a process ends, it never blocks the next one: on the same machine its end is seen at
    once, and on another one when its lease expires.

    Args:
        folder: The study's folder.
        url: URL of the Optuna database; a missing table, or SQLite file, is created.
        on_lost: Called from a thread, at most once, if another machine took the study over
            because this process was suspended or cut off. This process must then stop.
        on_wait: Called at most once, before a holder on another machine is watched.
        owner: The holder, if not this process.
        timing: Its intervals.

    Raises:
        BusyError: If another process holds it.
        StoreError: If the database cannot be opened, or the folder's files cannot be locked.
    """
    owner = owner or current_process()
    make_folder(folder.path, is_durable=True)
    with _file_lock(folder, owner), open_lease_row(url, folder.path.name) as row:
        try:
            token = _acquire(row, owner, timing, on_wait)
        except SQLAlchemyError as error:
            raise open_error(url, error) from None
        heartbeat = Heartbeat(row, owner, token, on_lost, timing)
        try:
            yield
        finally:
            heartbeat.stop()


class Heartbeat:
    """A thread that renews a lease until it is stopped. Has mutable state: the thread.

    An unavailable database is tried again at the next renewal: while it is unavailable to all,
    no other process can replace the holder either.
    """

    def __init__(
        self,
        row: LeaseRow,
        owner: ProcessIdentity,
        token: str,
        on_lost: Callable[[str], None],
        timing: LeaseTiming,
    ) -> None:
        """Start the thread; for the arguments see :func:`lease`."""
        self._row = row
        self._owner = owner
        self._token = token
        self._on_lost = on_lost
        self._timing = timing
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=_thread_name(token), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing and release the row, unless the database does not answer for a while."""
        self._stopped.set()
        self._thread.join(_RELEASE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopped.wait(self._timing.renew_s):
            try:
                if not self._row.renew(self._token):
                    self._on_lost(self._lost_message(self._row.read()))
                    return
            except SQLAlchemyError as error:
                _log.debug("lease of %s not renewed: %s", self._row.study, error_message(error))
        try:
            self._row.release(self._token)
        except SQLAlchemyError as error:
            # The next process sees that this one has ended.
            _log.debug("lease of %s not released: %s", self._row.study, error_message(error))

    def _lost_message(self, new: LeaseHolder | None) -> str:
        holder = "another process, which has ended since" if new is None else str(new)
        remedy = (
            "start it again" if new is None else "leave it to that one, or stop that one first"
        )
        return (
            f"study {self._row.study!r} was taken over by {holder}, because {self._owner} was "
            f"suspended, or cut off from the database, for more than {self._timing.expire_s:g} s; "
            f"{remedy}."
        )


def _thread_name(token: str) -> str:
    return f"heartbeat {token}"


def _acquire(
    row: LeaseRow, owner: ProcessIdentity, timing: LeaseTiming, on_wait: Callable[[str], None]
) -> str:
    """Acquire the lease and return its token; of several that try, exactly one succeeds.

    Raises:
        BusyError: If another process holds the study and runs.
    """
    token = uuid.uuid4().hex
    has_waited = False
    while (found := row.read()) is not None or not row.insert(owner, token):
        if found is None:
            continue
        alive = is_alive(found.owner, owner)
        if found.owner == owner:
            # This process may have held the study before, and not released it in an unavailable
            # database.
            alive = any(t.name == _thread_name(found.token) for t in threading.enumerate())
        if alive is None:
            if not has_waited:
                on_wait(_wait_message(row.study, found, timing))
            has_waited = True
            alive = _was_renewed(row, found, timing)
        if alive:
            raise _busy_error(row.study, str(found))
        if row.replace(found, owner, token):
            break
    return token


def _was_renewed(row: LeaseRow, found: LeaseHolder, timing: LeaseTiming) -> bool:
    """Watch a lease; True once it is renewed, False if it expires or is another's."""
    # Reads are counted, not seconds: while the database or this process stands still, so may the
    # holder's renewals.
    for _ in range(math.ceil(timing.expire_s / timing.poll_s)):
        time.sleep(timing.poll_s)
        now = row.read()
        if now is None or now.token != found.token:
            return False
        if now.renewals != found.renewals:
            return True
    return False


def _wait_message(study: str, found: LeaseHolder, timing: LeaseTiming) -> str:
    return (
        f"waiting up to {timing.expire_s:g} s to see whether {found.owner}, which has held study "
        f"{study!r} since {found.acquired_at.isoformat(timespec='seconds')}, still runs."
    )


def _busy_error(study: str, holder: str) -> BusyError:
    return BusyError(
        f"study {study!r} is being run by {holder}; wait for it, or stop it with Ctrl-C and start "
        "again."
    )


def is_running(folder: StudyFolder) -> bool:
    """Check whether a process of this machine holds a study; needs no right to write."""
    try:
        with folder.lock.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        # Of another user, who alone may lock it: its row in the database tells.
        return False
    except OSError:
        return True
    return False


@contextmanager
def _file_lock(folder: StudyFolder, owner: ProcessIdentity) -> Iterator[None]:
    with _open_lock(folder) as file:
        try:
            is_locked = _try_lock(file)
        except OSError as error:
            raise StoreError(
                f"{folder.lock} must lie on a file system that can lock files, but: "
                f"{error.strerror}; mount it with locks, or name another folder with --storage."
            ) from None
        if not is_locked:
            raise _busy_error(folder.path.name, _lock_holder(folder))
        file.truncate(0)
        acquired_at = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"host": owner.host, "pid": owner.pid, "acquired_at": acquired_at}))
        file.flush()
        yield


def _open_lock(folder: StudyFolder) -> TextIO:
    """Open the file of the lock, which only those who may write the folder can read, and so lock.

    Raises:
        StoreError: If it cannot be opened.
    """
    mode = 0o600 | (folder.path.stat().st_mode & stat.S_IWGRP and 0o060)
    try:
        handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        if os.fstat(handle).st_uid == os.geteuid():
            # An older one may be open to all, and a umask may have closed it to the group.
            os.fchmod(handle, mode)
    except OSError as error:
        raise StoreError(
            f"{folder.lock} must be writable by who runs the study, but: {error.strerror}; run it "
            "as the owner of its folder, or make the folder writable for your group and delete "
            "that file."
        ) from None
    return os.fdopen(handle, "a+", encoding="utf-8")


def _try_lock(file: TextIO) -> bool:
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Possibly `status`, which locks it for a moment.
            time.sleep(0.05)
        else:
            return True
    return False


def _lock_holder(folder: StudyFolder) -> str:
    try:
        told = json.loads(folder.lock.read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']} since {told['acquired_at']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
