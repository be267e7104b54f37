"""A Ray cluster of several nodes on this machine.

Every node has an address of its own on the loopback device (127.0.0.2, 127.0.0.3, …), as if it
were another machine: a driver belongs to the head, whatever becomes of the workers. Others can
reach some of Ray's ports all the same, and need its token: it is for chaos and for tests, while
`cluster up` makes a service.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.free_port import free_port
from cluster.local_node import Node, NodePlan, start_nodes
from cluster.process_session import members, title
from cluster.session import prepare_environment

# Ray opens sockets some 60 characters below a node's folder, and their paths may have 107.
LONGEST_FOLDER: Final = 36


class LocalCluster:
    """A head and workers on this machine. Has mutable state: its nodes."""

    def __init__(self, folder: Path) -> None:
        """Take up a folder, which then holds Ray's files and the token; starts nothing.

        Args:
            folder: A short path such as ``/tmp/ray-x7c2``; made if it is missing.

        Raises:
            ClusterError: If sockets below the folder would have too long a path.
        """
        self._folder = _short(folder.absolute())
        self._token = self._folder / "token"
        self._numbers = count()
        self._head: Node | None = None
        self._port = 0
        self._workers: list[Node] = []

    @property
    def address(self) -> str:
        """Address for drivers, ``127.0.0.2:21345``.

        Raises:
            ClusterError: If there is no head.
        """
        if self._head is None:
            raise ClusterError(f"the cluster in {self._folder} has no head; start one first.")
        return f"{self._head.plan.ip}:{self._port}"

    @property
    def token(self) -> Path:
        """File with the token that everyone needs who connects; for its owner alone."""
        return self._token

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The head, if there is one, and the workers."""
        return (*([self._head] if self._head else ()), *self._workers)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The nodes that joined the head."""
        return tuple(self._workers)

    def environment(self) -> Mapping[str, str]:
        """Give the variables that a driver needs to connect; where the token is, not what."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._token)}

    def start(self, workers: Iterable[int], head_cpus: int = 0) -> None:
        """Start a head, and then all workers at the same time.

        Args:
            workers: CPUs of each worker.
            head_cpus: CPUs of the head; 0 keeps trials off it.

        Raises:
            ClusterError: If a node does not start.
        """
        self._make_token()
        self._port = free_port("a Ray head")
        options = ("--head", f"--port={self._port}", "--include-dashboard=false")
        # Ray's own default is the same for every head on this machine.
        plan = self._plan(
            head_cpus, (*options, f"--ray-client-server-port={free_port('a Ray head')}")
        )
        (self._head,) = start_nodes([plan])
        self.add_workers(workers)

    def add_workers(self, cpus: Iterable[int]) -> tuple[Node, ...]:
        """Let nodes join, each with as many CPUs as named.

        Raises:
            ClusterError: If there is no head, or one does not start.
        """
        options = (f"--address={self.address}",)
        nodes = start_nodes([self._plan(each, options) for each in cpus])
        self._workers += nodes
        return nodes

    def kill(self, node: Node) -> None:
        """Kill a node and all that runs on it at once, as a loss of power does."""
        node.kill()
        self._forget(node)

    def shutdown(self) -> None:
        """End all nodes at once; another head may be started afterwards."""
        # Nothing on a node is worth an orderly end, which takes 10 s.
        for node in reversed(self.nodes):
            self.kill(node)

    def processes(self) -> tuple[int, ...]:
        """Give the numbers of all processes of all nodes."""
        return tuple(number for node in self.nodes for number in members(node.process.pid))

    def trial_processes(self) -> tuple[int, ...]:
        """Give the numbers of the processes that train trials, or wait for their next one."""
        return tuple(number for number in self.processes() if _is_trial(title(number)))

    def _plan(self, cpus: int, options: tuple[str, ...]) -> NodePlan:
        number = next(self._numbers)
        return NodePlan(
            # A machine that comes back is another one; 127.0.0.1 is not taken as an address.
            ip=f"127.0.0.{2 + number % 250}",
            cpus=cpus,
            folder=self._folder / str(number),
            options=options,
            environment=self._node_environment(),
        )

    def _node_environment(self) -> Mapping[str, str]:
        prepare_environment()
        ours = {key: text for key, text in os.environ.items() if key != "RAY_ADDRESS"}
        return {**ours, **self.environment(), "RAY_TMPDIR": str(self._folder)}

    def _forget(self, node: Node) -> None:
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


def _is_trial(title: str) -> bool:
    """Tell whether a process of Ray's is an actor that trains.

    Example:
        >>> _is_trial("ray::ChallengerTrainable.train()"), _is_trial("ray::IDLE")
        (True, False)
    """
    return title.startswith("ray::") and "Trainable" in title


def _short(folder: Path) -> Path:
    if len(str(folder)) > LONGEST_FOLDER:
        raise ClusterError(
            f"the folder of a local cluster must have a path of at most {LONGEST_FOLDER} "
            f"characters, because Ray opens sockets below it, but {folder} has "
            f"{len(str(folder))}; name one below /tmp."
        )
    return folder
