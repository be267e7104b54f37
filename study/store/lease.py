"""Who runs a study: at most one process at a time, known by host and process.

Two locks, taken in this order. The file lock in the study's folder is exact among the processes
of one machine, and ends with its process. The row in the Optuna database is seen by all machines
that use it, whatever storage they have; its holder has to beat, and one that does not is replaced.
"""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TextIO

from sqlalchemy.exc import SQLAlchemyError

from study.errors import StoreError
from study.store.claim import busy, claim
from study.store.folder import StudyFolder
from study.store.heartbeat import PACE, Heartbeat, Pace
from study.store.holding import open_row
from study.store.outage import unusable
from study.store.owner import Owner, this_process

_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


def _log_wait(text: str) -> None:
    _log.info("%s", text)


@contextmanager
def lease(
    folder: StudyFolder,
    url: str,
    on_lost: Callable[[str], None],
    on_wait: Callable[[str], None] = _log_wait,
    *,
    owner: Owner | None = None,
    pace: Pace = PACE,
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
    owner = owner or this_process()
    folder.path.mkdir(parents=True, exist_ok=True)
    with _file_lock(folder, owner), open_row(url, folder.path.name) as row:
        try:
            token = claim(row, owner, pace, on_wait)
        except SQLAlchemyError as error:
            raise unusable(url, error) from None
        heartbeat = Heartbeat(row, owner, token, on_lost, pace)
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
def _file_lock(folder: StudyFolder, owner: Owner) -> Iterator[None]:
    with folder.lock.open("a+", encoding="utf-8") as file:
        try:
            is_ours = _lock(file)
        except OSError as error:
            raise StoreError(
                f"{folder.lock} must lie on a file system that can lock files, but: "
                f"{error.strerror}; mount it with locks, or name another folder with --storage."
            ) from None
        if not is_ours:
            raise busy(folder.path.name, _who(folder))
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"host": owner.host, "process": owner.process, "since": since}))
        file.flush()
        yield


def _lock(file: TextIO) -> bool:
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Perhaps only `status`, which locks it for a moment to see whether that is possible.
            time.sleep(0.05)
        else:
            return True
    return False


def _who(folder: StudyFolder) -> str:
    try:
        told = json.loads(folder.lock.read_text(encoding="utf-8"))
        return f"process {told['process']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError):
        return "another process"
