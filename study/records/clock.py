"""The clock of a process: the wall clock when it was first read, and the time that passed since.

Setting the machine's clock changes no time between two events of a study.
"""

from __future__ import annotations

import time
from functools import cache


def now_ms() -> int:
    """Return milliseconds since 1970, which never go back in a process, also over a suspension."""
    wall_ms, passed_ms = _anchor()
    return wall_ms + _passed_ms() - passed_ms


@cache
def _anchor() -> tuple[int, int]:
    return time.time_ns() // 1_000_000, _passed_ms()


def _passed_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
