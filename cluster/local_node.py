"""One node of a Ray cluster on this machine: ``ray start --block`` in a session of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from cluster.process_session import kill_session, start_session

# A node takes 6 s on two idle cores and 20 s on busy ones; Ray itself gives up after 30 s.
_START_UP_S: Final = 120.0
_TRIES: Final = 3
# Trials pass a few kilobytes.
_STORE_BYTES: Final = 80_000_000
_STARTED: Final = "Ray runtime started."


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What a node shall be.

    Attributes:
        ip: Its address on the loopback device.
        cpus: How many CPUs it offers.
        folder: Where Ray keeps its files. Nodes that start at the same time in one folder clash.
        options: Options of ``ray start`` that make it a head or let it join one.
        environment: Its whole environment, which the trials on it have too.
    """

    ip: str
    cpus: int
    folder: Path
    options: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def log(self) -> Path:
        """What ``ray start`` says."""
        return self.folder.with_suffix(".log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that was started.

    Attributes:
        plan: What it is.
        process: ``ray start --block``, which began the node's session.
    """

    plan: NodePlan
    process: subprocess.Popen[bytes] = field(repr=False)

    def kill(self) -> None:
        """Kill it and all that runs on it at once, as a loss of power does."""
        kill_session(self.process)
        shutil.rmtree(self.plan.folder, ignore_errors=True)


def start_nodes(plans: Sequence[NodePlan]) -> tuple[Node, ...]:
    """Start nodes at the same time and wait until all are up.

    Raises:
        ClusterError: If one does not start, also when it is tried again; then none is left.
    """
    nodes = [_launched(plan) for plan in plans]
    try:
        for i in range(len(nodes)):
            nodes[i] = _started(nodes[i])
    except BaseException:
        for node in nodes:
            node.kill()
        raise
    return tuple(nodes)


def _started(node: Node) -> Node:
    for _ in range(_TRIES - 1):
        if _is_started(node):
            return node
        # Ray gives up too early on a machine that is busy.
        node.kill()
        node = _launched(node.plan)
    if _is_started(node):
        return node
    node.kill()
    text = node.plan.log.read_text(encoding="utf-8", errors="replace")
    raise ClusterError(
        f"a Ray node must start at {node.plan.ip} within {_START_UP_S:.0f} s, but did not in "
        f"{_TRIES} tries; the end of {node.plan.log}: {' '.join(text.split())[-500:]}"
    )


def _is_started(node: Node) -> bool:
    """Wait until a node says that it is up; False if it ends before, or says nothing."""
    end = time.monotonic() + _START_UP_S
    while time.monotonic() < end:
        is_over = node.process.poll() is not None
        if _STARTED in node.plan.log.read_text(encoding="utf-8", errors="replace"):
            return True
        if is_over:
            return False
        time.sleep(0.1)
    return False


def _launched(plan: NodePlan) -> Node:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *plan.options]
    command += [f"--node-ip-address={plan.ip}", f"--num-cpus={plan.cpus}", "--num-gpus=0"]
    command += [f"--temp-dir={plan.folder}", f"--object-store-memory={_STORE_BYTES}"]
    command += ["--include-log-monitor=false", "--disable-usage-stats"]
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.log.unlink(missing_ok=True)
    process = start_session(command, plan.environment, plan.log, plan.folder)
    return Node(plan=plan, process=process)
