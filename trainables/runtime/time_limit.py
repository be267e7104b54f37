"""Ends a trial's process that hangs, and says afterwards where it hung.

A loop that runs finds out by itself that its time is over (:mod:`trainables.runtime.stop_monitor`). A process
that waits for ever, for a device or a file, can only be ended from outside its code: by
:mod:`faulthandler`, whose timer needs neither the interpreter nor its lock, and which leaves
what every thread was doing in a file of the trial's folder. The next attempt reads it, instead of
hanging again.
"""

from __future__ import annotations

import faulthandler
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from trainables.runtime.storage_errors import storage_errors

FILE_NAME: Final = "hang.txt"

# A loop that is merely slow says so itself within this time, with its epoch.
_GRACE_S: Final = 15.0
_GRACE_FRACTION: Final = 0.1


class HangWatchdog:
    """Ends this process if it is not put off in time. Holds the file it would write to.

    Only while a trial computes: one that waits for its driver does not hang.
    """

    def __init__(self) -> None:
        """Begin without a timer."""
        self._file: TextIO | None = None
        self._remaining_s = 0.0
        self._since = 0.0

    def arm(self, folder: Path, timeout_s: float) -> None:
        """Watch over a trial from its next step on.

        Args:
            folder: The trial's folder.
            timeout_s: How long a trial may train, in seconds.

        Raises:
            StorageError: If the folder cannot be written to.
        """
        self.disarm()
        with storage_errors(folder):
            self._file = (folder / FILE_NAME).open("w", encoding="utf-8")
        self._remaining_s = timeout_s + _GRACE_S + _GRACE_FRACTION * timeout_s
        self.resume()

    def resume(self) -> None:
        """Let the trial's time run, if one is watched over."""
        if self._file is not None:
            self._since = time.monotonic()
            later_s = max(self._remaining_s, 1.0)
            faulthandler.dump_traceback_later(later_s, exit=True, file=self._file)

    def pause(self) -> None:
        """Let the trial wait."""
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._remaining_s -= time.monotonic() - self._since

    def disarm(self) -> None:
        """Watch over the trial no longer."""
        if self._file is None:
            return
        faulthandler.cancel_dump_traceback_later()
        self._file.close()
        # An empty file that storage which fails keeps does no harm.
        with suppress(OSError):
            Path(self._file.name).unlink(missing_ok=True)
        self._file = None


def hang_location(folder: Path) -> str | None:
    """Say where an earlier attempt hung, or None if none did.

    Example:
        >>> hang_location(Path("nowhere")) is None
        True
    """
    path = folder / FILE_NAME
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text:
        return None
    frames = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', text)
    home = str(Path(__file__).parent.parent)
    own = [frame for frame in frames if frame[0].startswith(home)] or frames
    if not own:
        return "in an unknown place"
    file, line, function = own[0]
    return f"in {function} ({Path(file).name}, line {line})"
