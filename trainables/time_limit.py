"""Ends a trial's process that hangs, and says afterwards where it hung.

A loop that runs finds out by itself that its time is over (:mod:`trainables.watch`). A process
that waits for ever, for a device or a file, can only be ended from outside its code: by
:mod:`faulthandler`, whose timer needs neither the interpreter nor its lock, and which leaves
what every thread was doing in a file of the trial's folder. The next attempt reads it, instead of
hanging again.
"""

from __future__ import annotations

import faulthandler
import re
from pathlib import Path
from typing import Final, TextIO

from trainables.storage import writing_to

FILE_NAME: Final = "hang.txt"

# A loop that is merely slow says so itself within this time, with its epoch.
_GRACE_S: Final = 15.0
_GRACE_SHARE: Final = 0.1


class HangTimer:
    """Ends this process if it is not put off in time. Holds the file it would write to."""

    def __init__(self) -> None:
        """Begin without a timer."""
        self._file: TextIO | None = None

    def start(self, folder: Path, timeout_s: float) -> None:
        """End this process some time after a trial's time is over.

        Args:
            folder: The trial's folder.
            timeout_s: How long a trial may train, in seconds.

        Raises:
            StorageError: If the folder cannot be written to.
        """
        self.stop()
        with writing_to(folder):
            self._file = (folder / FILE_NAME).open("w", encoding="utf-8")
        later_s = timeout_s + _GRACE_S + _GRACE_SHARE * timeout_s
        faulthandler.dump_traceback_later(later_s, exit=True, file=self._file)

    def stop(self) -> None:
        """Put it off for good."""
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            self._file = None


def where_it_hung(folder: Path) -> str | None:
    """Say where an earlier attempt hung, or None if none did.

    Example:
        >>> where_it_hung(Path("nowhere")) is None
        True
    """
    path = folder / FILE_NAME
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text:
        return None
    frames = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', text)
    own = [frame for frame in frames if f"/{__package__}/" in frame[0]] or frames
    if not own:
        return "in an unknown place"
    file, line, function = own[0]
    return f"in {function} ({Path(file).name}, line {line})"
