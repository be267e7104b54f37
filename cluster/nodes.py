"""Whether every node of a cluster could train a trial, asked of each node before the first one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cluster.errors import ClusterError
from cluster.node_facts import Needs, NodeFacts, complaints_of, facts_here

# A node's first process takes some seconds, on a busy one half a minute.
_PATIENCE_S: Final = 120.0
# Ray notices within half a minute that a node was lost.
_LOSS_S: Final = 40.0
_PAUSE_S: Final = 0.5


def require_nodes(needs: Needs, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Make sure that every node of the connected cluster could train; gives their number.

    A process is started on each node for it, which takes a few seconds.

    Args:
        needs: What trials need.
        is_stopping: Whether nobody wants to know any more; looked at twice a second.

    Raises:
        ClusterError: If versions differ from the driver's, or a node does not see the storage or
            a folder, or does not answer; names the nodes and what to do.
    """
    mark = needs.storage / f".nodes-{uuid4().hex}"
    mark.write_text(mark.name, encoding="utf-8")
    try:
        found = _answers(_asked(mark, needs), is_stopping)
    finally:
        mark.unlink(missing_ok=True)
    complaints = [text for facts in found for text in complaints_of(facts, mark.name, needs)]
    if complaints:
        raise ClusterError(" ".join(complaints))
    return len(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A question to a node: its number in Ray, its address, and Ray's reference of the answer."""

    node: str
    address: str
    answer: Any


def _asked(mark: Path, needs: Needs) -> list[_Call]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(facts_here)
    calls = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            number, address = node["NodeID"], str(node["NodeManagerAddress"])
            there = NodeAffinitySchedulingStrategy(number, soft=False)
            answer = ask.options(scheduling_strategy=there).remote(address, mark, needs)
            calls.append(_Call(node=number, address=address, answer=answer))
    return calls


def _answers(calls: Sequence[_Call], is_stopping: Callable[[], bool]) -> list[NodeFacts]:
    import ray

    end = time.monotonic() + _PATIENCE_S
    waiting = [call.answer for call in calls]
    while waiting and not is_stopping():
        if time.monotonic() > end:
            late = ", ".join(call.address for call in calls if call.answer in waiting)
            raise ClusterError(
                f"every node must start a process within {_PATIENCE_S:.0f} s, but {late} did "
                "not; look at the logs there, or take it off the cluster."
            )
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_PAUSE_S)
    done = [call for call in calls if call.answer not in waiting]
    return [facts for call in done if (facts := _answer(call)) is not None]


def _answer(call: _Call) -> NodeFacts | None:
    """Give what a node said, or None if it is none of the cluster's any more."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        facts: NodeFacts = ray.get(call.answer)
    except RayError as error:
        # A node that was lost just now is still listed for a while.
        if not isinstance(error, RayTaskError) and _is_gone(call.node):
            return None
        raise ClusterError(
            f"node {call.address} must be able to run this program, but: "
            f"{' '.join(str(error).split())[-400:]}; install the same version of it there, or "
            "start the study with 'submit', which brings it along."
        ) from None
    return facts


def _is_gone(node: str) -> bool:
    import ray

    end = time.monotonic() + _LOSS_S
    while time.monotonic() < end:
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        if not any(each["Alive"] and each["NodeID"] == node for each in nodes):
            return True
        time.sleep(_PAUSE_S)
    return False
