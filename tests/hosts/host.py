"""A host made of namespaces on this machine, and the switch that connects several.

Each has namespaces of its own for network, processes, host name and mounts, which end with their
last process. Nothing of them is in this machine's own network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUBNET: Final = "10.77.0"
_PROGRAMS: Final = ("ip", "nsenter", "setpriv", "unshare")
# Children end with the test in any case.
KILLED_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL")
_SWITCH: Final = (
    "ip link set lo up && ip link add br0 type bridge && ip link set br0 up && echo ready "
    "&& exec sleep infinity"
)


def skip_reason() -> str | None:
    """Return why no hosts can be made here, or None if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "makes network namespaces, which root may on Linux"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"makes network namespaces with {', '.join(missing)}, which is not installed"
    probe = "ip link add br0 type bridge && ip link add v0 type veth peer name v1"
    command = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run([*command, "sh", "-c", probe], capture_output=True, check=False)
    if done.returncode == 0:
        return None
    return f"makes network namespaces, which is refused here: {done.stderr.decode().strip()}"


@dataclass(slots=True, kw_only=True)
class Switch:
    """A bridge that connects hosts; mutable, for it numbers its ports."""

    process: subprocess.Popen[bytes]
    n_ports: int = 0

    @classmethod
    def start(cls) -> Switch:
        """Make a bridge without ports."""
        command = [*KILLED_WITH_PARENT, "unshare", "--net", "sh", "-c", _SWITCH]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return cls(process=process)

    def attach(self, machine: int, address: str) -> str:
        """Connect the network namespace of a process; returns the port's name."""
        self.n_ports += 1
        port = f"port{self.n_ports}"
        self._ip(f"link add {port} type veth peer name eth0 netns {machine}")
        self._ip(f"link set {port} master br0 up")
        for settings in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _ip_of(machine, settings)
        return port

    def set_link_down(self, port: str) -> None:
        """Set a link down: packets are lost without an error."""
        self._ip(f"link set {port} down")

    def set_link_up(self, port: str) -> None:
        """Set a link up again."""
        self._ip(f"link set {port} up")

    def remove(self) -> None:
        """End it, with all links."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _ip(self, settings: str) -> None:
        _ip_of(self.process.pid, settings)


def _ip_of(process: int, settings: str) -> None:
    command = ["nsenter", f"--target={process}", "--net", "ip", *settings.split()]
    subprocess.run(command, check=True)


# Generous: a test goes on as soon as what it waits for is there.
TIMEOUT_S: Final = 600.0
_PROJECT: Final = Path(__file__).resolve().parents[2]
_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--pid")
_FOREIGN_PREFIXES: Final = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_", "PYTEST_", "UV")
# The first process of a host: it reaps orphans, as init does.
_INIT: Final = "while :; do sleep 86400 & wait; done"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """Name, address and disk of a host, and the folder that hosts share at the same path."""

    name: str
    address: str
    disk: Path
    share: Path
    sees_share: bool = True
    names: Mapping[str, str]


class Host:
    """A host. Has mutable state: it is switched on and off."""

    def __init__(self, spec: HostSpec, switch: Switch) -> None:
        """Prepare its disk, switched off."""
        self.spec = spec
        self._switch = switch
        self._machine: subprocess.Popen[bytes] | None = None
        self._init_pid = 0
        self._port = ""
        self.home.mkdir(parents=True)
        listed = "".join(f"{address} {name}\n" for name, address in spec.names.items())
        (spec.disk / "hosts").write_text(f"127.0.0.1 localhost\n{listed}")

    @property
    def name(self) -> str:
        """Its host name."""
        return self.spec.name

    @property
    def address(self) -> str:
        """Its address."""
        return self.spec.address

    @property
    def home(self) -> Path:
        """Its user's home."""
        return self.spec.disk / "home"

    @property
    def token(self) -> Path:
        """The path of Ray's token."""
        return self.home / ".ray" / "auth_token"

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self._machine is not None

    def boot(self) -> None:
        """Switch it on, with empty memory, and connect it."""
        assert not self.is_on
        flags = ("--fork", "--kill-child", "--mount-proc", "--propagation", "private")
        command = [
            *KILLED_WITH_PARENT,
            "unshare",
            *_NAMESPACES,
            *flags,
            "bash",
            "-c",
            self._script(),
        ]
        self._machine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._machine.stdout is not None
        assert self._machine.stdout.readline() == b"ready\n"
        pid = self._machine.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
        self._init_pid = int(children)
        self._port = self._switch.attach(self._init_pid, self.address)

    def kill(self) -> None:
        """Kill all of its processes at once, as a loss of power does; its memory is lost."""
        assert self._machine is not None
        if self._init_pid:
            # The namespace ends with it, and then its parent.
            os.kill(self._init_pid, signal.SIGKILL)
        else:
            self._machine.kill()
        self._machine.wait()
        if self._machine.stdout is not None:
            self._machine.stdout.close()
        self._machine, self._init_pid = None, 0

    def disconnect(self) -> None:
        """Set its link down."""
        self._switch.set_link_down(self._port)

    def reconnect(self) -> None:
        """Set its link up again."""
        self._switch.set_link_up(self._port)

    def start(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a line of shell in its home."""
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
        """Run a line of shell to its end; checks the exit code, unless it is None."""
        done = subprocess.run(
            [*self._inside(), "bash", "-c", command],
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        output = f"{self.name}$ {command}\n{done.stdout}{done.stderr}"
        assert code in (None, done.returncode), output
        return done

    @property
    def root(self) -> Path:
        """Its root folder, as seen from this machine."""
        return Path(f"/proc/{self._init_pid}/root")

    def listening(self) -> set[str]:
        """Return the listening sockets, as ``address:port``."""
        lines = self.run("ss --tcp --listening --numeric --no-header").stdout.splitlines()
        return {line.split()[3] for line in lines}

    def processes(self) -> dict[int, str]:
        """Return the command lines of its processes, by pid."""
        script = "for p in /proc/[0-9]*; do echo ${p#/proc/} $(tr '\\0' ' ' <$p/cmdline); done"
        lines = self.run(script).stdout.splitlines()
        pairs = (line.partition(" ") for line in lines)
        return {int(pid): title for pid, _, title in pairs if title}

    def _inside(self) -> Sequence[str]:
        return ("nsenter", f"--target={self._init_pid}", *_NAMESPACES, f"--wdns={self.home}")

    def _environment(self) -> Mapping[str, str]:
        """Return the environment of a fresh login, with this program on the PATH."""
        kept = {k: text for k, text in os.environ.items() if not k.startswith(_FOREIGN_PREFIXES)}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "HOME": str(self.home), "PATH": programs, "COLUMNS": "200"}

    def _script(self) -> str:
        """Return the script that sets host name and mounts, and then waits to be killed."""
        memory = self.spec.disk / "tmp"
        lines = [
            f"hostname {self.name}",
            f"mount --bind {self.spec.disk / 'hosts'} /etc/hosts",
            "mount -t tmpfs none /dev/shm",
            f"mkdir -p {memory}",
            f"mount -t tmpfs -o mode=1777 none {memory}",
        ]
        if not self.spec.sees_share:
            lines.append(f"mount -t tmpfs none {self.spec.share}")
        # Its /tmp is its own, without what the test itself keeps there.
        for path in self._kept():
            inside = memory / path.relative_to("/tmp")
            lines += [f"mkdir -p {inside}", f"mount --rbind {path} {inside}"]
        lines += [f"mount --rbind {memory} /tmp", "echo ready", _INIT]
        return " && ".join(lines)

    def _kept(self) -> list[Path]:
        needed = (self.spec.disk.parent, _PROJECT, Path(sys.prefix), Path(sys.base_prefix))
        return [path for path in needed if path.is_relative_to("/tmp")]


def wait_until(
    condition: Callable[[], bool],
    why: Callable[[], str] = lambda: "timed out",
    pause_s: float = 0.1,
) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(pause_s)
