"""The lease that keeps a study to one process: acquire, renew, release.

Two locks, taken in this order. The file lock in the study's folder is exact among the processes
of one machine, and ends with its process. The row in the Optuna database is seen by all machines
that use it, whatever storage they have; its holder renews it, and one that does not is replaced.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """How often a holder is heard of, and how long others listen for it.

    Attributes:
        beat_s: From one beat to the next.
        lease_s: How long others watch a holder on another machine before they take its place.
        look_s: From one look to the next, while they do.
    """

    renew_s: float = 3.0
    expire_s: float = 15.0
    poll_s: float = 0.5


LEASE_TIMING: Final = LeaseTiming()


class Heartbeat:
    """Beats for a holder until it leaves, in a thread of its own. Has mutable state: the thread.

    A database that is away is asked again at the next beat: while it is away from everybody,
    nobody can take the holder's place in it either.
    """

    def __init__(
        self,
        row: LeaseRow,
        owner: ProcessIdentity,
        token: str,
        on_lost: Callable[[str], None],
        timing: LeaseTiming = LEASE_TIMING,
    ) -> None:
        """Begin to beat.

        Args:
            row: Where the holder stands.
            owner: This process, for messages.
            token: Its holding's.
            on_lost: Told from the thread, at most once, that another process holds the study now.
            pace: How often to beat.
        """
        self._row = row
        self._owner = owner
        self._token = token
        self._on_lost = on_lost
        self._timing = timing
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=_thread_name(token), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no longer and leave the row, unless the database does not answer for a while."""
        self._stopped.set()
        self._thread.join(_RELEASE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopped.wait(self._timing.renew_s):
            text = self._renew()
            if text is not None:
                self._on_lost(text)
                return
        self._release()

    def _renew(self) -> str | None:
        """Beat once; tells who holds the study now, if it is another process."""
        try:
            if self._row.renew(self._token):
                return None
            return self._lost_message(self._row.read())
        except SQLAlchemyError as error:
            _log.debug("no beat for study %s: %s", self._row.study, error_message(error))
            return None

    def _release(self) -> None:
        try:
            self._row.release(self._token)
        except SQLAlchemyError as error:
            # Whoever comes next finds that this process has ended.
            _log.debug("study %s was not let go: %s", self._row.study, error_message(error))

    def _lost_message(self, new: LeaseHolder | None) -> str:
        who = "another process, which has ended since" if new is None else str(new)
        then = "start it again" if new is None else "leave it to that one, or stop that one first"
        return (
            f"study {self._row.study!r} was taken over by {who}, because {self._owner} was "
            f"suspended, or cut off from the database, for more than {self._timing.expire_s:g} s; "
            f"{then}."
        )


def is_renewing(token: str) -> bool:
    """Tell whether this process beats for a holding."""
    return any(thread.name == _thread_name(token) for thread in threading.enumerate())


def _thread_name(token: str) -> str:
    return f"heartbeat {token}"


def acquire(
    row: LeaseRow, owner: ProcessIdentity, timing: LeaseTiming, on_wait: Callable[[str], None]
) -> str:
    """Become the holder of a study.

    Of several processes that try at the same time exactly one succeeds. May be interrupted at
    any time.

    Args:
        row: Where the holder stands.
        owner: Who becomes it.
        pace: How long to watch one whose end cannot be seen from here.
        on_wait: Told once, before that.

    Returns:
        The token of the holding.

    Raises:
        BusyError: If another process holds the study and runs.
    """
    token = uuid.uuid4().hex
    while not _try_acquire(row, owner, token, timing, on_wait):
        # Somebody else was faster, or went; it is waited for in turn, but said once.
        on_wait = _ignore
    return token


def busy_error(study: str, who: str) -> BusyError:
    """Say for people who runs a study."""
    return BusyError(
        f"study {study!r} is being run by {who}; wait for it, or stop it with Ctrl-C and start "
        "again."
    )


def _try_acquire(
    row: LeaseRow,
    owner: ProcessIdentity,
    token: str,
    timing: LeaseTiming,
    on_wait: Callable[[str], None],
) -> bool:
    found = row.read()
    if found is None:
        return row.insert(owner, token)
    lives = is_alive(found.owner, owner)
    if found.owner == owner:
        # This very process may have held it before, and not let go of a database that was away.
        lives = is_renewing(found.token)
    if lives is None:
        on_wait(
            f"waiting up to {timing.expire_s:g} s to see whether {found.owner}, which has held "
            f"study {row.study!r} since {found.acquired_at.isoformat(timespec='seconds')}, still runs."
        )
        lives = _was_renewed(row, found, timing)
    if lives:
        raise busy_error(row.study, str(found))
    return row.replace(found, owner, token)


def _was_renewed(row: LeaseRow, found: LeaseHolder, timing: LeaseTiming) -> bool:
    """Watch a holder; True as soon as it beats, False if it does not or is the holder no more."""
    # Looks are counted, not seconds: while the database or this process stands still, so may the
    # holder's beats.
    for _ in range(math.ceil(timing.expire_s / timing.poll_s)):
        time.sleep(timing.poll_s)
        now = row.read()
        if now is None or now.token != found.token:
            return False
        if now.renewals != found.renewals:
            return True
    return False


def _ignore(text: str) -> None:
    """Say nothing."""


_LOCK_ATTEMPTS: Final = 5


def _log_wait(text: str) -> None:
    _log.info("%s", text)


@contextmanager
def lease(
    folder: StudyFolder,
    url: str,
    on_lost: Callable[[str], None],
    on_wait: Callable[[str], None] = _log_wait,
    *,
    owner: ProcessIdentity | None = None,
    timing: LeaseTiming = LEASE_TIMING,
) -> Iterator[None]:
    """Hold a study while it runs.

    However a process ends, it never blocks the next: on its own machine its end is seen at once,
    and from another one by its silence.

    Args:
        folder: The study's folder; its name is the study's.
        url: URL of the Optuna database; the table, and an SQLite file, are made if missing.
        on_lost: Told, from a thread and at most once, that another machine took the study over
            because this process was suspended or cut off. It must then stop.
        on_wait: Told, at most once, that a holder on another machine is being watched.
        owner: Who holds it, if not this process.
        pace: How often to beat, and how long to watch.

    Raises:
        BusyError: If another process holds it.
        StoreError: If the database cannot be opened, or the folder's files cannot be locked.
    """
    owner = owner or current_process()
    folder.path.mkdir(parents=True, exist_ok=True)
    with _file_lock(folder, owner), open_lease_row(url, folder.path.name) as row:
        try:
            token = acquire(row, owner, timing, on_wait)
        except SQLAlchemyError as error:
            raise open_error(url, error) from None
        heartbeat = Heartbeat(row, owner, token, on_lost, timing)
        try:
            yield
        finally:
            heartbeat.stop()


def is_running(folder: StudyFolder) -> bool:
    """Tell whether a process of this machine holds a study now."""
    if not folder.lock.exists():
        return False
    with folder.lock.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextmanager
def _file_lock(folder: StudyFolder, owner: ProcessIdentity) -> Iterator[None]:
    with folder.lock.open("a+", encoding="utf-8") as file:
        try:
            is_locked = _try_lock(file)
        except OSError as error:
            raise StoreError(
                f"{folder.lock} must lie on a file system that can lock files, but: "
                f"{error.strerror}; mount it with locks, or name another folder with --storage."
            ) from None
        if not is_locked:
            raise busy_error(folder.path.name, _lock_holder(folder))
        file.truncate(0)
        acquired_at = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"host": owner.host, "process": owner.pid, "since": acquired_at}))
        file.flush()
        yield


def _try_lock(file: TextIO) -> bool:
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Perhaps only `status`, which locks it for a moment to see whether that is possible.
            time.sleep(0.05)
        else:
            return True
    return False


def _lock_holder(folder: StudyFolder) -> str:
    try:
        told = json.loads(folder.lock.read_text(encoding="utf-8"))
        return f"process {told['process']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError):
        return "another process"
