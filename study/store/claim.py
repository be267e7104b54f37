"""Becoming the holder of a study, in place of nobody or of one that no longer runs.

What a process of the same machine does is seen at once. Of one of another machine only its beats
are seen: it is watched for a while by the clock of this machine alone, so that clocks that differ
do no harm.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable

from study.errors import BusyError
from study.store.heartbeat import Pace, is_beating
from study.store.holding import Holder, HolderRow
from study.store.owner import Owner, is_alive


def claim(row: HolderRow, owner: Owner, pace: Pace, on_wait: Callable[[str], None]) -> str:
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
    while not _try(row, owner, token, pace, on_wait):
        # Somebody else was faster, or went; it is waited for in turn, but said once.
        on_wait = _keep_silent
    return token


def busy(study: str, who: str) -> BusyError:
    """Say for people who runs a study."""
    return BusyError(
        f"study {study!r} is being run by {who}; wait for it, or stop it with Ctrl-C and start "
        "again."
    )


def _try(
    row: HolderRow, owner: Owner, token: str, pace: Pace, on_wait: Callable[[str], None]
) -> bool:
    found = row.read()
    if found is None:
        return row.enter(owner, token)
    lives = is_alive(found.owner, owner)
    if found.owner == owner:
        # This very process may have held it before, and not let go of a database that was away.
        lives = is_beating(found.token)
    if lives is None:
        on_wait(
            f"waiting up to {pace.lease_s:g} s to see whether {found.owner}, which has held "
            f"study {row.study!r} since {found.since.isoformat(timespec='seconds')}, still runs."
        )
        lives = _is_heard(row, found, pace)
    if lives:
        raise busy(row.study, str(found))
    return row.replace(found, owner, token)


def _is_heard(row: HolderRow, found: Holder, pace: Pace) -> bool:
    """Watch a holder; True as soon as it beats, False if it does not or is the holder no more."""
    # Looks are counted, not seconds: while the database or this process stands still, so may the
    # holder's beats.
    for _ in range(math.ceil(pace.lease_s / pace.look_s)):
        time.sleep(pace.look_s)
        now = row.read()
        if now is None or now.token != found.token:
            return False
        if now.beat != found.beat:
            return True
    return False


def _keep_silent(text: str) -> None:
    """Say nothing."""
