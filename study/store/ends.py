"""How trials ended, each in a small file of its trial's folder, before the ledger is told.

A database may be away when a trial ends, and the driver may die before it is back. What a
scheduler decided, or why a trial failed, could not be found out again; from this file it is told
at the next start.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from study.files import write_whole

EndState: TypeAlias = Literal["COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a trial.

    Attributes:
        state: ``COMPLETE`` after the full budget, ``PRUNED`` by a scheduler, or ``FAIL``.
        value: Mean objective after the last epoch, of a complete trial.
        reason: Why it failed.
        finished_ms: When, in milliseconds since 1970.
    """

    state: EndState
    finished_ms: int
    value: float | None = None
    reason: str | None = None


def write_end(path: Path, end: End) -> None:
    """Keep the end of a trial durably.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    write_whole(path, json.dumps(asdict(end)), is_durable=True)


def read_end(path: Path) -> End | None:
    """Read the end of a trial; None if it has not ended."""
    if not path.exists():
        return None
    return End(**json.loads(path.read_text(encoding="utf-8")))
