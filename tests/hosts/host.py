"""A machine of its own on the test machine: network, processes, name, memory and home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hosts.network import MORTAL, Switch

# Generous: a test goes on as soon as what it waits for is there.
PATIENCE_S: Final = 600.0
_PROJECT: Final = Path(__file__).resolve().parents[2]
_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--pid")
_FOREIGN: Final = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_", "PYTEST_", "UV")
# The first process of a machine: buries who is left, as every machine's does.
_FIRST: Final = "while :; do sleep 86400 & wait; done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a machine shall be.

    Attributes:
        name: Its host name.
        address: Its address in the network.
        disk: Folder of the test machine that is its own disk; its home is in it.
        share: Folder that machines see at the same path.
        sees_share: Whether this one does.
        names: Names of all machines with their addresses.
    """

    name: str
    address: str
    disk: Path
    share: Path
    sees_share: bool = True
    names: Mapping[str, str]


class Host:
    """A machine. Has mutable state: it is switched on and off."""

    def __init__(self, plan: Plan, switch: Switch) -> None:
        """Prepare its disk; it is off."""
        self.plan = plan
        self._switch = switch
        self._machine: subprocess.Popen[bytes] | None = None
        self._first = 0
        self._port = ""
        self.home.mkdir(parents=True)
        listed = "".join(f"{address} {name}\n" for name, address in plan.names.items())
        (plan.disk / "hosts").write_text(f"127.0.0.1 localhost\n{listed}")

    @property
    def name(self) -> str:
        """Its host name."""
        return self.plan.name

    @property
    def address(self) -> str:
        """Its address."""
        return self.plan.address

    @property
    def home(self) -> Path:
        """Its user's home."""
        return self.plan.disk / "home"

    @property
    def token(self) -> Path:
        """Where Ray looks for its token."""
        return self.home / ".ray" / "auth_token"

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self._machine is not None

    def boot(self) -> None:
        """Switch it on, with empty memory, and connect it."""
        assert not self.is_on
        flags = ("--fork", "--kill-child", "--mount-proc", "--propagation", "private")
        command = [*MORTAL, "unshare", *_NAMESPACES, *flags, "bash", "-c", self._script()]
        self._machine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._machine.stdout is not None
        assert self._machine.stdout.readline() == b"ready\n"
        number = self._machine.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="utf-8")
        self._first = int(children)
        self._port = self._switch.attach(self._first, self.address)

    def kill(self) -> None:
        """Take its power: everything on it is dead at once, and its memory is lost."""
        assert self._machine is not None
        if self._first:
            # Its namespace ends with it; only then does who started it.
            os.kill(self._first, signal.SIGKILL)
        else:
            self._machine.kill()
        self._machine.wait()
        if self._machine.stdout is not None:
            self._machine.stdout.close()
        self._machine, self._first = None, 0

    def cut(self) -> None:
        """Pull its cable."""
        self._switch.pull(self._port)

    def mend(self) -> None:
        """Plug its cable in again."""
        self._switch.plug(self._port)

    def start(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a line of shell in its user's home."""
        return subprocess.Popen(
            [*self._inside(), "bash", "-c", command],
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self, command: str, code: int | None = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of shell to its end, which must have an exit code, or may have any."""
        done = subprocess.run(
            [*self._inside(), "bash", "-c", command],
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        said = f"{self.name}$ {command}\n{done.stdout}{done.stderr}"
        assert code in (None, done.returncode), said
        return done

    @property
    def root(self) -> Path:
        """Its files, as seen from the test machine."""
        return Path(f"/proc/{self._first}/root")

    def listening(self) -> set[str]:
        """Give what is listened at, as ``address:port``."""
        lines = self.run("ss --tcp --listening --numeric --no-header").stdout.splitlines()
        return {line.split()[3] for line in lines}

    def processes(self) -> dict[int, str]:
        """Give the command lines of all that runs on it."""
        script = "for p in /proc/[0-9]*; do echo ${p#/proc/} $(tr '\\0' ' ' <$p/cmdline); done"
        lines = self.run(script).stdout.splitlines()
        pairs = (line.partition(" ") for line in lines)
        return {int(number): title for number, _, title in pairs if title}

    def _inside(self) -> Sequence[str]:
        return ("nsenter", f"--target={self._first}", *_NAMESPACES, f"--wdns={self.home}")

    def _environment(self) -> Mapping[str, str]:
        """Give what a fresh login has, with this program's commands among the others."""
        kept = {k: text for k, text in os.environ.items() if not k.startswith(_FOREIGN)}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "HOME": str(self.home), "PATH": programs, "COLUMNS": "200"}

    def _script(self) -> str:
        """Give the machine its name and its own memory, and go on until it is killed."""
        memory = self.plan.disk / "tmp"
        lines = [
            f"hostname {self.name}",
            f"mount --bind {self.plan.disk / 'hosts'} /etc/hosts",
            "mount -t tmpfs none /dev/shm",
            f"mkdir -p {memory}",
            f"mount -t tmpfs -o mode=1777 none {memory}",
        ]
        if not self.plan.sees_share:
            lines.append(f"mount -t tmpfs none {self.plan.share}")
        # Its /tmp is its own, but for what the test itself keeps there.
        for path in self._kept():
            inside = memory / path.relative_to("/tmp")
            lines += [f"mkdir -p {inside}", f"mount --rbind {path} {inside}"]
        lines += [f"mount --rbind {memory} /tmp", "echo ready", _FIRST]
        return " && ".join(lines)

    def _kept(self) -> list[Path]:
        needed = (self.plan.disk.parent, _PROJECT, Path(sys.prefix), Path(sys.base_prefix))
        return [path for path in needed if path.is_relative_to("/tmp")]


def until(
    condition: Callable[[], bool],
    why: Callable[[], str] = lambda: "waited in vain",
    pause_s: float = 0.1,
) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(pause_s)
