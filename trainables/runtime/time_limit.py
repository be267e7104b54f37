"""Watchdog that ends a hanging trial process and records where it hung.

A running loop detects its own time limit (:mod:`trainables.runtime.stop_monitor`). A process that
blocks on a device or a file can only be ended from outside its code: by :mod:`faulthandler`, whose
timer needs neither the interpreter nor its lock, and which dumps all threads' tracebacks into a
file of the trial's folder. The next attempt reads that file and fails, instead of hanging again.
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

# A slow loop raises its own error, which names the epoch, within this time.
_GRACE_S: Final = 15.0
_GRACE_FRACTION: Final = 0.1


class HangWatchdog:
    """Timer that ends this process, with the open file that it would write to.

    It runs only while a trial computes: a trial that waits for its driver does not hang.
    """

    def __init__(self) -> None:
        """Create a watchdog without a timer."""
        self._file: TextIO | None = None
        self._remaining_s = 0.0
        self._since = 0.0

    def arm(self, folder: Path, timeout_s: float) -> None:
        """Start the timer of a trial.

        Args:
            folder: The trial's folder.
            timeout_s: Longest training time of the trial; the timer adds a grace period.

        Raises:
            StorageError: If the folder cannot be written to.
        """
        self.disarm()
        with storage_errors(folder):
            self._file = (folder / FILE_NAME).open("w", encoding="utf-8")
        self._remaining_s = timeout_s + _GRACE_S + _GRACE_FRACTION * timeout_s
        self.resume()

    def resume(self) -> None:
        """Continue the timer, if it is armed."""
        if self._file is not None:
            self._since = time.monotonic()
            later_s = max(self._remaining_s, 1.0)
            faulthandler.dump_traceback_later(later_s, exit=True, file=self._file)

    def pause(self) -> None:
        """Suspend the timer, if it is armed."""
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._remaining_s -= time.monotonic() - self._since

    def disarm(self) -> None:
        """Cancel the timer and remove its file."""
        if self._file is None:
            return
        faulthandler.cancel_dump_traceback_later()
        self._file.close()
        # An empty file that failing storage keeps does no harm.
        with suppress(OSError):
            Path(self._file.name).unlink(missing_ok=True)
        self._file = None


def hang_location(folder: Path) -> str | None:
    """Return where an earlier attempt hung, or None if none did.

    Example:
        >>> hang_location(Path("nowhere")) is None
        True
    """
    path = folder / FILE_NAME
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if not text:
        return None
    frames = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', text)
    home = str(Path(__file__).parent.parent)
    own = [frame for frame in frames if frame[0].startswith(home)] or frames
    if not own:
        return "in an unknown function"
    file, line, function = own[0]
    return f"in {function} ({Path(file).name}, line {line})"
