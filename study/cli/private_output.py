"""A check that the output of a command is private to its user."""

from __future__ import annotations

import os
import stat
import sys


def is_private_output() -> bool:
    """Return whether standard output is a terminal, a pipe, or a file for its owner alone.

    A file that others may read is a log, in which no password belongs.
    """
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISCHR(mode):
        return sys.stdout.isatty()
    return stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and not mode & 0o077)
