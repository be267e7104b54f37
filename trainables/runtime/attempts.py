"""The attempts at a trial: one line each, which tell later how often it began and what was redone.

They stand in ``attempts.jsonl`` in the trial's folder.
"""

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
    """One time that a process took up a trial.

    Attributes:
        from_epoch: Epochs of the checkpoint that it went on from; 0 for none.
        started_ms: When, in milliseconds since 1970.
        host: Name of the machine.
        process: Number of the process there.
    """

    from_epoch: int
    started_ms: int
    host: str
    pid: int


def append_attempt(folder: Path, from_epoch: int) -> None:
    """Note that this process takes up the trial of a folder, now.

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
    """Read the attempts at the trial of a folder, the first one first; none if there is no file.

    A last line that was not finished is left out.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return ()
    *lines, _torn = path.read_bytes().split(b"\n")
    return tuple(Attempt(**json.loads(line)) for line in lines)
