"""A shell: real processes of the program, in a folder with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# Generous: a test continues as soon as its condition holds.
TIMEOUT_S = 600.0
_PROJECT = Path(__file__).resolve().parents[3]


@dataclass(slots=True, kw_only=True)
class Shell:
    """A shell in a folder with a home of its own, and the processes that it started."""

    folder: Path
    ray: Path
    executor: str
    storage: Path | None = None
    database: str | None = None
    tracking: str | None = None
    cluster: Mapping[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """Output of the commands."""
        return self.folder / "log"

    @property
    def root(self) -> Path:
        """The storage root."""
        return self.storage or self.folder / "challenger-studies"

    @property
    def study(self) -> Path:
        """The study's folder."""
        return self.root / "tiny"

    def environment(self) -> Mapping[str, str]:
        """Return the environment without settings of the tests, MLflow or another Ray."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_", "PYTEST_"))
        }
        own = {"HOME": str(self.folder), "RAY_TMPDIR": str(self.ray), "PYTHONPATH": str(_PROJECT)}
        if self.storage is not None:
            own["CHALLENGER_STORAGE"] = str(self.storage)
        if self.database is not None:
            own["CHALLENGER_DATABASE"] = self.database
        if self.tracking is not None:
            own["CHALLENGER_TRACKING_URI"] = self.tracking
        return {**kept, **own, **self.cluster}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command that trains."""
        return self._start("challenger-study", *arguments)

    def start_dying(
        self, where: str, when: str, count: int, *arguments: str
    ) -> subprocess.Popen[bytes]:
        """Start a command that kills itself; see :mod:`.kill_at_call`."""
        return self._start(*_module("kill_at_call"), where, when, str(count), *arguments)

    def finish_logged(self, file: str, *arguments: str) -> int:
        """Run a command to its end with its connections logged in a file."""
        command = (*_module("log_connections"), str(self.folder / file), *arguments)
        return self._start(*command).wait(TIMEOUT_S)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--executor", self.executor],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def finish(self, *arguments: str) -> int:
        """Run a command to its end."""
        return self.start(*arguments).wait(TIMEOUT_S)

    def last_line(self) -> str:
        """Return the last line of output."""
        return self.log.read_text(encoding="utf-8").splitlines()[-1]

    def n_reports(self) -> int:
        """Count the stored reports."""
        files = self.study.glob("trials/*/*/*/reports.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in files)

    def until_reports(self, process: subprocess.Popen[bytes], count: int) -> None:
        """Wait until a number of reports is stored."""
        self.wait_until(lambda: self.n_reports() >= count, process)

    def wait_until(
        self, condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None
    ) -> None:
        """Wait for a condition while a process runs."""
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end, "timed out"
            assert process is None or process.poll() is None, self.log.read_text(encoding="utf-8")
            time.sleep(0.01)

    def pids(self) -> list[int]:
        """List the living processes with this home."""
        found = psutil.process_iter(["environ", "status"])
        return [
            process.pid
            for process in found
            if (process.info["environ"] or {}).get("HOME") == str(self.folder)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


def _module(name: str) -> tuple[str, str, str]:
    return sys.executable, "-m", f"tests.study.fault_tolerance.{name}"
