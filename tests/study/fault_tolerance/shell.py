"""A user's shell: real processes of the program, in a folder with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Generous: a test goes on as soon as what it waits for is there.
PATIENCE_S = 600.0
_PROJECT = Path(__file__).resolve().parents[3]


@dataclass(slots=True, kw_only=True)
class Shell:
    """A user's shell in a folder with a home of its own; remembers what it started."""

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
        """What the commands said."""
        return self.folder / "log"

    @property
    def root(self) -> Path:
        """Where studies are kept."""
        return self.storage or self.folder / "challenger-studies"

    @property
    def study(self) -> Path:
        """The study's folder."""
        return self.root / "tiny"

    def environment(self) -> Mapping[str, str]:
        """Give the environment: no settings of the test run, of MLflow or of another Ray."""
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
        """Start a command that trains and kills itself; see :mod:`tests.study.fault_tolerance.kill_at_call`."""
        program = [
            sys.executable,
            "-m",
            "tests.study.fault_tolerance.kill_at_call",
            where,
            when,
            str(count),
        ]
        return self._start(*program, *arguments)

    def finish_watched(self, file: str, *arguments: str) -> int:
        """Run a command to its end while what it connects to is noted in a file."""
        program = [
            sys.executable,
            "-m",
            "tests.study.fault_tolerance.log_connections",
            str(self.folder / file),
        ]
        return self._start(*program, *arguments).wait(PATIENCE_S)

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
        return self.start(*arguments).wait(PATIENCE_S)

    def last_line(self) -> str:
        """Give the last line that was said."""
        return self.log.read_text(encoding="utf-8").splitlines()[-1]

    def n_reports(self) -> int:
        """Count the reports that are stored."""
        files = self.study.glob("trials/*/*/*/reports.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in files)

    def until_reports(self, process: subprocess.Popen[bytes], count: int) -> None:
        """Wait until so many reports are stored."""
        self.wait_until(lambda: self.n_reports() >= count, process)

    def wait_until(
        self, condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None
    ) -> None:
        """Wait for something while a process runs."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            assert process is None or process.poll() is None, self.log.read_text(encoding="utf-8")
            time.sleep(0.01)

    def processes(self) -> list[int]:
        """Find what is left of all that was started here: it has this home."""
        mark = f"HOME={self.folder}\0".encode()
        found = []
        for process in Path("/proc").iterdir():
            try:
                is_ours = process.name.isdigit() and mark in (process / "environ").read_bytes()
                is_dead = is_ours and ") Z " in (process / "stat").read_text()
            except OSError:
                continue
            if is_ours and not is_dead:
                found.append(int(process.name))
        return found
