"""A network of machines on one machine: a switch in a namespace of its own.

Nothing of it is in the test machine's own network, so that no name and no address can collide, and
all of it is gone when the last process of its namespaces is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

ADDRESSES: Final = "10.77.0"
_NEEDED: Final = ("ip", "nsenter", "setpriv", "unshare")
# Whatever happens to the test, what it started ends with it.
MORTAL: Final = ("setpriv", "--pdeathsig", "KILL")
_SWITCH: Final = (
    "ip link set lo up && ip link add br0 type bridge && ip link set br0 up && echo ready "
    "&& exec sleep infinity"
)


def obstacle() -> str | None:
    """Say why no machines can be made here, or None if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "makes network namespaces, which root may on Linux"
    if missing := [name for name in _NEEDED if shutil.which(name) is None]:
        return f"makes network namespaces with {', '.join(missing)}, which is not installed"
    probe = "ip link add br0 type bridge && ip link add v0 type veth peer name v1"
    command = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run([*command, "sh", "-c", probe], capture_output=True, check=False)
    if done.returncode == 0:
        return None
    return f"makes network namespaces, which is refused here: {done.stderr.decode().strip()}"


@dataclass(slots=True, kw_only=True)
class Switch:
    """Joins machines; mutable, for it numbers its ports."""

    process: subprocess.Popen[bytes]
    n_ports: int = 0

    @classmethod
    def start(cls) -> Switch:
        """Make one without ports."""
        command = [*MORTAL, "unshare", "--net", "sh", "-c", _SWITCH]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return cls(process=process)

    def attach(self, machine: int, address: str) -> str:
        """Lead a cable to the machine of a process; gives the port's name."""
        self.n_ports += 1
        port = f"port{self.n_ports}"
        self._ip(f"link add {port} type veth peer name eth0 netns {machine}")
        self._ip(f"link set {port} master br0 up")
        for settings in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _ip_of(machine, settings)
        return port

    def pull(self, port: str) -> None:
        """Pull a cable: what is sent vanishes, and nobody is told."""
        self._ip(f"link set {port} down")

    def plug(self, port: str) -> None:
        """Plug it in again."""
        self._ip(f"link set {port} up")

    def remove(self) -> None:
        """End it; the cables vanish."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _ip(self, settings: str) -> None:
        _ip_of(self.process.pid, settings)


def _ip_of(process: int, settings: str) -> None:
    command = ["nsenter", f"--target={process}", "--net", "ip", *settings.split()]
    subprocess.run(command, check=True)
