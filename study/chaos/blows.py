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

from study.chaos.arena import WORKERS, Arena
from study.chaos.chronicle import Outcome
from study.chaos.driver import kill
from study.chaos.plan import Kind
from trainables.attempts import read_attempts

# SIGTERM gives a machine that is preempted 30 s in most places.
_PREEMPTION_S: Final = 30.0
# Ray's driver gives a lost head 15 s here, and notices it by a heartbeat.
_HEAD_LOST_S: Final = 90.0
_SECOND_START_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
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


Strike: TypeAlias = Callable[[Arena, random.Random], Effect]


def _worker(arena: Arena, rng: random.Random) -> Effect:
    found = arena.cluster.trial_processes()
    if not found:
        return Effect(note="no trial has a process", outcome="skipped")
    number = rng.choice(found)
    kill(number)
    return Effect(note=f"killed a trial's process, {number}")


def _checkpoint(arena: Arena, rng: random.Random) -> Effect:
    found = arena.cluster.trial_processes()
    newest = _newest_checkpoint(arena.folder.path)
    if newest is None or not found:
        return Effect(note="no trial has a checkpoint", outcome="skipped")
    attempts = read_attempts(newest.parent)
    owner = attempts[-1].process if attempts else 0
    number = owner if owner in found else rng.choice(found)
    try:
        os.truncate(newest, newest.stat().st_size // 2)
    except FileNotFoundError:
        return Effect(note="the checkpoint was gone already", outcome="skipped")
    kill(number)
    trial = newest.parent.relative_to(arena.folder.path / "trials")
    return Effect(note=f"truncated {newest.name[:14]} of {trial} and killed process {number}")


def _newest_checkpoint(folder: Path) -> Path | None:
    ages = []
    for path in folder.glob("trials/*/*/*/epoch-*.pt"):
        try:
            ages.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # its trial has just ended
    return max(ages)[1] if ages else None


def _delivery(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001 (a strike)
    number = arena.driver.delivery()
    if number is None:
        return Effect(note="nothing is being delivered", outcome="skipped")
    kill(number)
    return Effect(note=f"killed the delivery to MLflow, {number}")


def _mlflow(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    arena.mlflow.kill()
    return Effect(note="killed MLflow's server", undo=arena.mlflow.launch)


def _database(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    return Effect(note=arena.database.strike(), undo=arena.database.restore)


def _node(arena: Arena, rng: random.Random) -> Effect:
    nodes = arena.cluster.workers
    if len(nodes) < len(WORKERS):
        return Effect(note="a node is missing already", outcome="skipped")
    node = rng.choice(nodes)
    arena.cluster.kill(node)
    return Effect(
        note=f"killed the node at {node.plan.ip}",
        undo=lambda: _join(arena, node.plan.cpus),
    )


def _join(arena: Arena, cpus: int) -> None:
    # A new cluster has all its nodes.
    if len(arena.cluster.workers) < len(WORKERS):
        arena.cluster.add_workers([cpus])


def _driver(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    arena.driver.signal(signal.SIGKILL)
    arena.driver.wait(10.0)
    return Effect(note=f"killed the driver, {arena.driver.number}", ends_driver=True)


def _preempt(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    arena.driver.signal(signal.SIGTERM)
    seconds = arena.driver.wait(_PREEMPTION_S)
    if seconds is None:
        arena.driver.signal(signal.SIGKILL)
        arena.driver.wait(10.0)
        note = f"SIGTERM did not end the driver within {_PREEMPTION_S:.0f} s"
        return Effect(note=note, outcome="failed", ends_driver=True)
    code = arena.driver.poll()
    note = f"SIGTERM ended the driver after {seconds:.1f} s with exit code {code}"
    # A study that was finished just then ends as a finished one does.
    is_right = code in {130, 0}
    return Effect(note=note, outcome="survived" if is_right else "failed", ends_driver=True)


def _head(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    arena.cluster.kill(arena.cluster.nodes[0])
    seconds = arena.driver.wait(_HEAD_LOST_S)
    if seconds is None:
        arena.driver.signal(signal.SIGKILL)
        arena.driver.wait(10.0)
    code = arena.driver.poll()
    arena.cluster.shutdown()
    arena.cluster.start(WORKERS)
    if seconds is None:
        note = f"the driver did not notice within {_HEAD_LOST_S:.0f} s that its head was gone"
        return Effect(note=note, outcome="failed", ends_driver=True)
    note = f"killed the head; the driver ended after {seconds:.0f} s with exit code {code}"
    return Effect(note=note, outcome="survived" if code == 2 else "failed", ends_driver=True)


def _twice(arena: Arena, rng: random.Random) -> Effect:  # noqa: ARG001
    first = arena.driver.number
    code, said = arena.start_second(_SECOND_START_S)
    if arena.driver.poll() is not None:
        return Effect(note="the first run ended meanwhile", outcome="skipped")
    names_it = f"process {first} on {socket.gethostname()}" in said
    if code == 2 and names_it:
        return Effect(note=f"a second start was refused, naming process {first}")
    note = f"a second start ended with exit code {code} and said: {said[-300:]}"
    return Effect(note=note, outcome="failed")


STRIKES: Final[Mapping[Kind, Strike]] = {
    "checkpoint": _checkpoint,
    "database": _database,
    "delivery": _delivery,
    "driver": _driver,
    "head": _head,
    "mlflow": _mlflow,
    "node": _node,
    "preempt": _preempt,
    "twice": _twice,
    "worker": _worker,
}
