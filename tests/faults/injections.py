"""How each kind of blow is struck. Every function does what its name says, at once."""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from tests.faults.event_log import Outcome
from tests.faults.harness import WORKERS, Harness
from tests.faults.schedule import FaultKind
from tests.faults.services import kill
from trainables.runtime.attempts import read_attempts

# SIGTERM gives a machine that is preempted 30 s in most places.
_PREEMPTION_S: Final = 30.0
# Ray's driver gives a lost head 15 s here, and notices it by a heartbeat.
_HEAD_LOST_S: Final = 90.0
_SECOND_START_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionEffect:
    """What a blow did.

    Attributes:
        note: What was struck, for people.
        outcome: Whether the program kept its promises on the spot, or nothing was struck.
        undo: Brings back what was taken away, or None.
        ends_driver: Whether the driver has ended because of it.
    """

    note: str
    outcome: Outcome = "survived"
    undo: Callable[[], None] | None = None
    ends_driver: bool = False


Injection: TypeAlias = Callable[[Harness, random.Random], InjectionEffect]


def _worker(harness: Harness, rng: random.Random) -> InjectionEffect:
    found = harness.cluster.trial_pids()
    if not found:
        return InjectionEffect(note="no trial has a process", outcome="skipped")
    pid = rng.choice(found)
    kill(pid)
    return InjectionEffect(note=f"killed a trial's process, {pid}")


def _checkpoint(harness: Harness, rng: random.Random) -> InjectionEffect:
    found = harness.cluster.trial_pids()
    newest = _newest_checkpoint(harness.folder.path)
    if newest is None or not found:
        return InjectionEffect(note="no trial has a checkpoint", outcome="skipped")
    attempts = read_attempts(newest.parent)
    owner = attempts[-1].pid if attempts else 0
    pid = owner if owner in found else rng.choice(found)
    try:
        os.truncate(newest, newest.stat().st_size // 2)
    except FileNotFoundError:
        return InjectionEffect(note="the checkpoint was gone already", outcome="skipped")
    kill(pid)
    trial = newest.parent.relative_to(harness.folder.path / "trials")
    return InjectionEffect(
        note=f"truncated {newest.name[:14]} of {trial} and killed process {pid}"
    )


def _newest_checkpoint(folder: Path) -> Path | None:
    ages = []
    for path in folder.glob("trials/*/*/*/epoch-*.pt"):
        try:
            ages.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # its trial has just ended
    return max(ages)[1] if ages else None


def _sync_process(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001 (a strike)
    pid = harness.driver.sync_process_pid()
    if pid is None:
        return InjectionEffect(note="nothing is being delivered", outcome="skipped")
    kill(pid)
    return InjectionEffect(note=f"killed the delivery to MLflow, {pid}")


def _mlflow(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    harness.mlflow.kill()
    return InjectionEffect(note="killed MLflow's server", undo=harness.mlflow.launch)


def _database(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    return InjectionEffect(note=harness.database.inject(), undo=harness.database.restore)


def _node(harness: Harness, rng: random.Random) -> InjectionEffect:
    nodes = harness.cluster.workers
    if len(nodes) < len(WORKERS):
        return InjectionEffect(note="a node is missing already", outcome="skipped")
    node = rng.choice(nodes)
    harness.cluster.kill(node)
    return InjectionEffect(
        note=f"killed the node at {node.spec.ip}",
        undo=lambda: _join(harness, node.spec.cpus),
    )


def _join(harness: Harness, cpus: int) -> None:
    # A new cluster has all its nodes.
    if len(harness.cluster.workers) < len(WORKERS):
        harness.cluster.add_workers([cpus])


def _driver(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    harness.driver.signal(signal.SIGKILL)
    harness.driver.wait(10.0)
    return InjectionEffect(note=f"killed the driver, {harness.driver.pid}", ends_driver=True)


def _preempt(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    harness.driver.signal(signal.SIGTERM)
    seconds = harness.driver.wait(_PREEMPTION_S)
    if seconds is None:
        harness.driver.signal(signal.SIGKILL)
        harness.driver.wait(10.0)
        note = f"SIGTERM did not end the driver within {_PREEMPTION_S:.0f} s"
        return InjectionEffect(note=note, outcome="failed", ends_driver=True)
    code = harness.driver.poll()
    note = f"SIGTERM ended the driver after {seconds:.1f} s with exit code {code}"
    # A study that was finished just then ends as a finished one does.
    is_right = code in {130, 0}
    return InjectionEffect(
        note=note, outcome="survived" if is_right else "failed", ends_driver=True
    )


def _head(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    harness.cluster.kill(harness.cluster.nodes[0])
    seconds = harness.driver.wait(_HEAD_LOST_S)
    if seconds is None:
        harness.driver.signal(signal.SIGKILL)
        harness.driver.wait(10.0)
    code = harness.driver.poll()
    harness.cluster.shutdown()
    harness.cluster.start(WORKERS)
    if seconds is None:
        note = f"the driver did not notice within {_HEAD_LOST_S:.0f} s that its head was gone"
        return InjectionEffect(note=note, outcome="failed", ends_driver=True)
    note = f"killed the head; the driver ended after {seconds:.0f} s with exit code {code}"
    return InjectionEffect(
        note=note, outcome="survived" if code == 2 else "failed", ends_driver=True
    )


def _second_start(harness: Harness, rng: random.Random) -> InjectionEffect:  # noqa: ARG001
    first = harness.driver.pid
    code, output = harness.start_second(_SECOND_START_S)
    if harness.driver.poll() is not None:
        return InjectionEffect(note="the first run ended meanwhile", outcome="skipped")
    names_it = f"process {first} on {socket.gethostname()}" in output
    if code == 2 and names_it:
        return InjectionEffect(note=f"a second start was refused, naming process {first}")
    note = f"a second start ended with exit code {code} and said: {output[-300:]}"
    return InjectionEffect(note=note, outcome="failed")


INJECTIONS: Final[Mapping[FaultKind, Injection]] = {
    "checkpoint": _checkpoint,
    "database": _database,
    "delivery": _sync_process,
    "driver": _driver,
    "head": _head,
    "mlflow": _mlflow,
    "node": _node,
    "preempt": _preempt,
    "twice": _second_start,
    "worker": _worker,
}
