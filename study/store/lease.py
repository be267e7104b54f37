"""Who runs a study: at most one process at a time, known by host and process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from study.errors import BusyError
from study.store.folder import StudyFolder


@contextmanager
def lease(folder: StudyFolder) -> Iterator[None]:
    """Hold a study while it runs.

    The operating system lets go when the process ends, however it ends, so that a killed run
    never blocks the next.

    Raises:
        BusyError: If another process holds it.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(_busy(folder)) from None
        file.truncate(0)
        file.write(json.dumps(_myself()))
        file.flush()
        yield


def is_running(folder: StudyFolder) -> bool:
    """Tell whether a process holds a study now."""
    if not folder.lock.exists():
        return False
    with folder.lock.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _myself() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _busy(folder: StudyFolder) -> str:
    text = folder.lock.read_text(encoding="utf-8")
    try:
        owner = json.loads(text)
        who = f"process {owner['process']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError):
        who = "another process"
    return (
        f"study {folder.path.name!r} is being run by {who}; wait for it, or stop it with Ctrl-C "
        "and start again."
    )
