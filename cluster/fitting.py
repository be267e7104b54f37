"""Whether a trial fits on any node, and what the nearest one lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cluster.errors import ClusterError

_GIB: Final = 2**30
# Where the study file says each.
_KEYS: Final = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_gib"}


def require_fit(
    nodes: Sequence[tuple[str, Mapping[str, float]]], demand: Mapping[str, float]
) -> None:
    """Make sure that a trial could be placed if the cluster were empty.

    Args:
        nodes: The name of each node, and what it holds in all by Ray's names. A machine may have
            several nodes, with one name.
        demand: What a trial reserves, by Ray's names.

    Raises:
        ClusterError: If no node has it all, with what the nearest lacks.
    """
    lacks = [(_lacking(held, demand), name, held) for name, held in nodes]
    if any(not lacking for lacking, _, _ in lacks):
        return
    asked = f"resources ask for {say(demand)} per trial, but "
    if not lacks:
        raise ClusterError(f"{asked}no node is there; start one.")
    nearest = min(lacks, key=lambda node: (len(node[0]), -_share(node[2], demand), node[1]))
    lacking, name, held = nearest
    has = say({resource: held.get(resource, 0.0) for resource in lacking})
    keys = " or ".join(dict.fromkeys(_key(resource) for resource in lacking))
    raise ClusterError(
        f"{asked}no node has all of it: the nearest, {name}, has {has}; lower {keys}, or "
        "connect to another cluster."
    )


def say(resources: Mapping[str, float]) -> str:
    """Say amounts for people.

    Example:
        >>> say({"CPU": 2.0, "GPU": 0.5, "memory": 3 * 2**30, "rtx4090": 1.0})
        '2 CPUs, 0.5 GPUs, 3 GiB of memory and 1 rtx4090'
    """
    parts = [_amount(name, amount) for name, amount in resources.items()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / _GIB:.3g} GiB of memory"
    is_counted = name in ("CPU", "GPU")
    return f"{amount:g} {name}{'s' if is_counted and amount != 1 else ''}"


def _key(resource: str) -> str:
    return f"resources.{_KEYS.get(resource, 'custom')}"


def _lacking(held: Mapping[str, float], demand: Mapping[str, float]) -> Sequence[str]:
    return [name for name, amount in demand.items() if held.get(name, 0.0) < amount]


def _share(held: Mapping[str, float], demand: Mapping[str, float]) -> float:
    """Give how much of what is asked for a node has, on average over the resources."""
    shares = [min(held.get(name, 0.0) / amount, 1.0) for name, amount in demand.items() if amount]
    return sum(shares) / len(shares) if shares else 1.0
