"""What runs for a service outside its parts' sessions: drivers of studies, each with its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cluster.process_session import Process, processes
from cluster.service.begun import is_marked, kill_all
from cluster.service.parts import PARTS, begun_part
from cluster.service.wish import Setting

# A driver that is asked to stop takes ten seconds at the most, on a busy machine more.
_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.1


def end_strays(setting: Setting, say: Callable[[str], None]) -> bool:
    """End all drivers of a service so that studies can be resumed; tells whether any ran.

    Each is asked first, as Ray's own stop does it: its process group gets SIGTERM.
    """
    leaders = [each for each in _strays(setting) if each.number == each.session]
    if leaders:
        say("asking running drivers to stop")
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.killpg(leader.number, signal.SIGTERM)
    end = time.monotonic() + _PATIENCE_S
    while _strays(setting) and time.monotonic() < end:
        time.sleep(_PAUSE_S)
    kill_all(lambda: [each.number for each in _strays(setting)])
    return bool(leaders)


def _strays(setting: Setting) -> tuple[Process, ...]:
    begun = [begun_part(part, setting) for part in PARTS]
    sessions = {each.number for each in begun if each is not None}
    return tuple(
        each
        for each in processes()
        if each.session not in sessions and is_marked(each.number, setting.mark)
    )
