"""Attempts at a trial, one line each in ``attempts.jsonl`` of its folder: starts and resumes."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.runtime.storage_errors import append_line_durably

FILE_NAME = "attempts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start or resume of a trial by a process.

    Attributes:
        from_epoch: Epochs of the checkpoint that was resumed; 0 for none.
        started_ms: Milliseconds since 1970.
        host: Host name.
        pid: Process id on that host.
    """

    from_epoch: int
    started_ms: int
    host: str
    pid: int


def append_attempt(folder: Path, from_epoch: int) -> None:
    """Append this process's attempt at the trial of a folder.

    Raises:
        StorageError: If the folder is missing or cannot be written to.
    """
    attempt = Attempt(
        from_epoch=from_epoch,
        started_ms=int(time.time() * 1000),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    append_line_durably(folder / FILE_NAME, json.dumps(asdict(attempt)))


def read_attempts(folder: Path) -> tuple[Attempt, ...]:
    """Read the attempts at the trial of a folder in order, without an unfinished last line."""
    path = folder / FILE_NAME
    if not path.exists():
        return ()
    *lines, _torn = path.read_bytes().split(b"\n")
    return tuple(Attempt(**json.loads(line)) for line in lines)
