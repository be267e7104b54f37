"""Standard streams whose failure ends no study: a closed pipe, a full disk, any encoding."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Final

_NAMES: Final = {"stdout": "standard output", "stderr": "standard error"}


class Sink(io.RawIOBase):
    """A file descriptor; after its first error it takes and drops everything."""

    def __init__(self, descriptor: int) -> None:
        self.error: OSError | None = None
        self._descriptor = descriptor

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write, or remember why that failed."""
        while self.error is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [], 1.0)
            except OSError as error:
                self.error = error
        return len(data)


def install_streams() -> dict[str, Sink]:
    """Replace standard output and error by streams that never raise; return what they write to.

    What an encoding lacks is replaced: ``?`` on standard output, an escape on standard error.
    """
    sinks = {}
    for name, errors in (("stdout", "replace"), ("stderr", "backslashreplace")):
        stream = getattr(sys, name)
        if stream is None:
            # It was closed by who started the process.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
            continue
        try:
            sinks[name] = sink = Sink(stream.fileno())
        except (OSError, ValueError):
            continue
        text = io.TextIOWrapper(
            io.BufferedWriter(sink),  # type: ignore[type-var] # a raw stream is one
            encoding=stream.encoding,
            errors=errors,
            line_buffering=stream.line_buffering or name == "stderr",
        )
        setattr(sys, name, text)
    return sinks


def output_problem(sinks: dict[str, Sink]) -> str | None:
    """Return why a stream could not be written; None also if its reader has gone."""
    for name, sink in sinks.items():
        getattr(sys, name).flush()
        if sink.error is not None and sink.error.errno not in (errno.EPIPE, errno.EIO):
            return f"{_NAMES[name]} could not be written: {sink.error.strerror}."
    return None
