"""The injection of each kind of fault."""

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

# A preempted machine has 30 s after SIGTERM at most providers.
_PREEMPTION_S: Final = 30.0
# Ray's driver waits 15 s for a lost head here, and notices the loss by a heartbeat.
_HEAD_LOST_S: Final = 90.0
_SECOND_START_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionEffect:
    """The effect of an injection, the way to undo it, and whether it ended the driver."""

    note: str
    outcome: Outcome = "survived"
    undo: Callable[[], None] | None = None
    ends_driver: bool = False


Injection: TypeAlias = Callable[[Harness, random.Random], InjectionEffect]


def _skipped(note: str) -> InjectionEffect:
    return InjectionEffect(note=note, outcome="skipped")


def _driver_exit(note: str, *, is_right: bool) -> InjectionEffect:
    outcome: Outcome = "survived" if is_right else "failed"
    return InjectionEffect(note=note, outcome=outcome, ends_driver=True)


def _worker(harness: Harness, rng: random.Random) -> InjectionEffect:
    found = harness.cluster.trial_pids()
    if not found:
        return _skipped("no trial has a process")
    pid = rng.choice(found)
    kill(pid)
    return InjectionEffect(note=f"killed a trial's process, {pid}")


def _checkpoint(harness: Harness, rng: random.Random) -> InjectionEffect:
    found = harness.cluster.trial_pids()
    newest = _newest_checkpoint(harness.folder.path)
    if newest is None or not found:
        return _skipped("no trial has a checkpoint")
    attempts = read_attempts(newest.parent)
    owner = attempts[-1].pid if attempts else 0
    pid = owner if owner in found else rng.choice(found)
    try:
        os.truncate(newest, newest.stat().st_size // 2)
    except FileNotFoundError:
        return _skipped("the checkpoint was gone already")
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


def _sync_process(harness: Harness, _: random.Random) -> InjectionEffect:
    pid = harness.driver.sync_process_pid()
    if pid is None:
        return _skipped("nothing is being synchronized")
    kill(pid)
    return InjectionEffect(note=f"killed the synchronization of MLflow, {pid}")


def _mlflow(harness: Harness, _: random.Random) -> InjectionEffect:
    harness.mlflow.kill()
    return InjectionEffect(note="killed MLflow's server", undo=harness.mlflow.launch)


def _database(harness: Harness, _: random.Random) -> InjectionEffect:
    return InjectionEffect(note=harness.database.inject(), undo=harness.database.restore)


def _node(harness: Harness, rng: random.Random) -> InjectionEffect:
    nodes = harness.cluster.workers
    if len(nodes) < len(WORKERS):
        return _skipped("a node is missing already")
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


def _driver(harness: Harness, _: random.Random) -> InjectionEffect:
    harness.driver.kill()
    return InjectionEffect(note=f"killed the driver, {harness.driver.pid}", ends_driver=True)


def _preempt(harness: Harness, _: random.Random) -> InjectionEffect:
    harness.driver.signal(signal.SIGTERM)
    seconds = harness.driver.wait(_PREEMPTION_S)
    if seconds is None:
        harness.driver.kill()
        note = f"SIGTERM did not end the driver within {_PREEMPTION_S:.0f} s"
        return _driver_exit(note, is_right=False)
    code = harness.driver.poll()
    note = f"SIGTERM ended the driver after {seconds:.1f} s with exit code {code}"
    # A study that was finished just then ends as a finished one does.
    return _driver_exit(note, is_right=code in {130, 0})


def _head(harness: Harness, _: random.Random) -> InjectionEffect:
    harness.cluster.kill(harness.cluster.nodes[0])
    seconds = harness.driver.wait(_HEAD_LOST_S)
    if seconds is None:
        harness.driver.kill()
    code = harness.driver.poll()
    harness.cluster.shutdown()
    harness.cluster.start(WORKERS)
    if seconds is None:
        note = f"the driver did not notice within {_HEAD_LOST_S:.0f} s that its head was gone"
        return _driver_exit(note, is_right=False)
    note = f"killed the head; the driver ended after {seconds:.0f} s with exit code {code}"
    # With 1 it is Ray that ends the driver, with a message of its own.
    return _driver_exit(note, is_right=code == 2)


def _second_start(harness: Harness, _: random.Random) -> InjectionEffect:
    first = harness.driver.pid
    code, output = harness.run_second(_SECOND_START_S)
    if harness.driver.poll() is not None:
        return _skipped("the first run ended meanwhile")
    names_it = f"process {first} on {socket.gethostname()}" in output
    if code == 2 and names_it:
        return InjectionEffect(note=f"a second start was refused, naming process {first}")
    note = f"a second start ended with exit code {code} and this output: {output[-300:]}"
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
