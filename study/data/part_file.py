"""The part of a file that has come so far, beside the place of the whole file."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import BufferedWriter
from pathlib import Path

from study.data.errors import DownloadError, not_writable
from study.data.request import Version
from study.files import write_whole


class PartFile:
    """``NAME.part`` and, beside it, the version of the file that it is a part of.

    The place of the whole file is taken by renaming alone, so that no reader ever meets half.
    """

    def __init__(self, target: Path) -> None:
        """Stand beside the place of the whole file."""
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._memo = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> Version | None:
        """Version of the file that this is a part of; None if there is no part of a known one."""
        try:
            return Version(**json.loads(self._memo.read_bytes())) if self.size else None
        except (OSError, ValueError, TypeError):
            return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes away from the part.

        Raises:
            DownloadError: If another process has it, or the folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self._locked()
        except OSError as error:
            raise not_writable(self.path, error) from error
        with file:
            try:
                yield
            finally:
                if self.path.exists() and not self.size:
                    self.forget()

    def _locked(self) -> BufferedWriter:
        while True:
            file = self.path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise DownloadError(
                    f"{self.target} is being fetched by another process; wait for it, or stop it."
                ) from None
            except OSError:
                return file  # some network file systems have no locks
            # Whoever had it may have renamed it away since it was opened.
            if self._is_at_its_place(file):
                return file
            file.close()

    def _is_at_its_place(self, file: BufferedWriter) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def begin(self, version: Version) -> None:
        """Make room for a file that is sent from its start."""
        self.clear()
        write_whole(self._memo, json.dumps(asdict(version), indent=2))

    def clear(self) -> None:
        """Throw away what has come; the file stays, since it is what others are kept from."""
        self._memo.unlink(missing_ok=True)
        with self.path.open("wb"):
            pass

    def append(self, chunk: bytes) -> None:
        """Add what comes next."""
        with self.path.open("ab") as file:
            file.write(chunk)

    def complete(self) -> None:
        """Put the whole file into its place."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self.forget()

    def reject(self) -> Path:
        """Keep a file that is not what was published under a name that nothing reads."""
        rejected = self.target.with_name(f"{self.target.name}.rejected")
        self.path.replace(rejected)
        self.forget()
        return rejected

    def forget(self) -> None:
        """Remove what is left of a part."""
        self.path.unlink(missing_ok=True)
        self._memo.unlink(missing_ok=True)
