"""A Ray cluster of several nodes on this machine.

Every node has an address of its own on the loopback device (127.0.0.2, 127.0.0.3, …), as if it
were another machine, and is ``ray start --block`` in a session of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.ports import free_port
from cluster.process import command_line, kill_session, session_pids, start_session
from cluster.session import prepare_environment

# A node takes 6 s on two idle cores and 20 s on busy ones; Ray itself gives up after 30 s.
_STARTUP_TIMEOUT_S: Final = 120.0
_ATTEMPTS: Final = 3
# Trials pass a few kilobytes.
_STORE_BYTES: Final = 80_000_000
_STARTED_MESSAGE: Final = "Ray runtime started."


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNodeSpec:
    """Address, CPUs, folder, options of ``ray start`` and environment of a node."""

    ip: str
    cpus: int
    folder: Path
    options: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def log(self) -> Path:
        """The output of ``ray start``."""
        return self.folder.with_suffix(".log")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """A node that was started."""

    spec: LocalNodeSpec
    process: subprocess.Popen[bytes] = field(repr=False)

    def kill(self) -> None:
        """Kill it and all that runs on it at once, as a loss of power does."""
        kill_session(self.process)
        shutil.rmtree(self.spec.folder, ignore_errors=True)


def start_nodes(specs: Sequence[LocalNodeSpec]) -> tuple[LocalNode, ...]:
    """Start nodes at the same time and wait until all are up."""
    nodes = [_spawn(spec) for spec in specs]
    try:
        for i in range(len(nodes)):
            nodes[i] = _retry_until_started(nodes[i])
    except BaseException:
        for node in nodes:
            node.kill()
        raise
    return tuple(nodes)


def _retry_until_started(node: LocalNode) -> LocalNode:
    for _ in range(_ATTEMPTS - 1):
        if _is_started(node):
            return node
        # Ray gives up too early on a machine that is busy.
        node.kill()
        node = _spawn(node.spec)
    if _is_started(node):
        return node
    node.kill()
    text = node.spec.log.read_text(encoding="utf-8", errors="replace")
    raise ClusterError(
        f"a Ray node must start at {node.spec.ip} within {_STARTUP_TIMEOUT_S:.0f} s, but did not "
        f"in {_ATTEMPTS} tries; the end of {node.spec.log}: {' '.join(text.split())[-500:]}"
    )


def _is_started(node: LocalNode) -> bool:
    """Wait until a node has started; False if it ends before, or not in time."""
    deadline = time.monotonic() + _STARTUP_TIMEOUT_S
    while time.monotonic() < deadline:
        is_over = node.process.poll() is not None
        if _STARTED_MESSAGE in node.spec.log.read_text(encoding="utf-8", errors="replace"):
            return True
        if is_over:
            return False
        time.sleep(0.1)
    return False


def _spawn(spec: LocalNodeSpec) -> LocalNode:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *spec.options]
    command += [f"--node-ip-address={spec.ip}", f"--num-cpus={spec.cpus}", "--num-gpus=0"]
    command += [f"--temp-dir={spec.folder}", f"--object-store-memory={_STORE_BYTES}"]
    command += ["--include-log-monitor=false", "--disable-usage-stats"]
    spec.folder.mkdir(parents=True, exist_ok=True)
    spec.log.unlink(missing_ok=True)
    process = start_session(command, spec.environment, spec.log, spec.folder)
    return LocalNode(spec=spec, process=process)


# Ray opens sockets some 60 characters below a node's folder, and their paths may have 107.
LONGEST_FOLDER: Final = 36


class LocalCluster:
    """A head and workers on this machine. Has mutable state: its nodes."""

    def __init__(self, folder: Path) -> None:
        """Name a short folder for Ray's files and the token; starts nothing."""
        self._folder = _checked_folder(folder.absolute())
        self._token = self._folder / "token"
        self._numbers = count()
        self._head: LocalNode | None = None
        self._port = 0
        self._workers: list[LocalNode] = []

    @property
    def address(self) -> str:
        """Address for drivers, ``127.0.0.2:21345``."""
        if self._head is None:
            raise ClusterError(f"the cluster in {self._folder} has no head; start one first.")
        return f"{self._head.spec.ip}:{self._port}"

    @property
    def token(self) -> Path:
        """File with the token that connections need; readable by its owner alone."""
        return self._token

    @property
    def nodes(self) -> tuple[LocalNode, ...]:
        """The head, if there is one, and the workers."""
        return (*([self._head] if self._head else ()), *self._workers)

    @property
    def workers(self) -> tuple[LocalNode, ...]:
        """The nodes that joined the head."""
        return tuple(self._workers)

    def environment(self) -> Mapping[str, str]:
        """Return the variables that a driver needs to connect, with the token's path."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._token)}

    def start(self, workers: Iterable[int], head_cpus: int = 0) -> None:
        """Start a head, and then all workers at the same time."""
        self._make_token()
        self._port = free_port("a Ray head")
        options = ("--head", f"--port={self._port}", "--include-dashboard=false")
        # Ray's own default is the same for every head on this machine.
        spec = self._spec(
            head_cpus, (*options, f"--ray-client-server-port={free_port('a Ray head')}")
        )
        (self._head,) = start_nodes([spec])
        self.add_workers(workers)

    def add_workers(self, cpus: Iterable[int]) -> tuple[LocalNode, ...]:
        """Add nodes with so many CPUs each."""
        options = (f"--address={self.address}",)
        nodes = start_nodes([self._spec(each, options) for each in cpus])
        self._workers += nodes
        return nodes

    def kill(self, node: LocalNode) -> None:
        """Kill a node and all that runs on it at once, as a loss of power does."""
        node.kill()
        self._forget(node)

    def shutdown(self) -> None:
        """End all nodes at once; another head may be started afterwards."""
        # An orderly end takes 10 s.
        for node in reversed(self.nodes):
            self.kill(node)

    def pids(self) -> tuple[int, ...]:
        """Return the pids of all nodes."""
        return tuple(pid for node in self.nodes for pid in session_pids(node.process.pid))

    def trial_pids(self) -> tuple[int, ...]:
        """Return the pids of the processes that train trials, or wait for their next one."""
        return tuple(pid for pid in self.pids() if _is_trial_process(command_line(pid)))

    def _spec(self, cpus: int, options: tuple[str, ...]) -> LocalNodeSpec:
        pid = next(self._numbers)
        return LocalNodeSpec(
            # A new node has a new address; Ray does not accept 127.0.0.1.
            ip=f"127.0.0.{2 + pid % 250}",
            cpus=cpus,
            folder=self._folder / str(pid),
            options=options,
            environment=self._node_environment(),
        )

    def _node_environment(self) -> Mapping[str, str]:
        prepare_environment()
        ours = {key: text for key, text in os.environ.items() if key != "RAY_ADDRESS"}
        return {**ours, **self.environment(), "RAY_TMPDIR": str(self._folder)}

    def _forget(self, node: LocalNode) -> None:
        if node is self._head:
            self._head = None
        else:
            self._workers.remove(node)

    def _make_token(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            descriptor = os.open(self._token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(secrets.token_hex(32))


def _is_trial_process(command_line: str) -> bool:
    """Return whether a process of Ray's is an actor that trains.

    Example:
        >>> _is_trial_process("ray::ChallengerTrainable.train()"), _is_trial_process("ray::IDLE")
        (True, False)
    """
    return command_line.startswith("ray::") and "Trainable" in command_line


def _checked_folder(folder: Path) -> Path:
    if len(str(folder)) > LONGEST_FOLDER:
        raise ClusterError(
            f"the folder of a local cluster must have a path of at most {LONGEST_FOLDER} "
            f"characters, because Ray opens sockets below it, but {folder} has "
            f"{len(str(folder))}; name one below /tmp."
        )
    return folder
