"""Disks that fail: real file systems, small enough to be filled."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A small file system that can be filled, made read-only and grown."""

    path: Path

    def fill(self) -> None:
        """Leave no room."""
        with (self.path / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"0" * 4096):
                pass

    def make_read_only(self) -> None:
        """Refuse every write from now on."""
        mount("-o", "remount,ro", self.path)

    def repair(self) -> None:
        """Make it writable and leave room."""
        mount("-o", "remount,rw,size=200m", self.path)
        (self.path / "filler").unlink(missing_ok=True)


def mount(*arguments: object) -> None:
    """Mount something, or skip."""
    command = ["mount", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
