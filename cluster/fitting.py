"""Whether a trial fits on any node, and what the nearest one lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cluster.errors import ClusterError

_GIB: Final = 2**30
# Where the study file says each.
_KEYS: Final = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_gib"}


def require_fit(nodes: Mapping[str, Mapping[str, float]], demand: Mapping[str, float]) -> None:
    """Make sure that a trial could be placed if the cluster were empty.

    Args:
        nodes: What each node holds in all, by Ray's names, under the name of the node.
        demand: What a trial reserves, by Ray's names.

    Raises:
        ClusterError: If no node has it all, with what the nearest lacks.
    """
    lacks = {name: _lacking(held, demand) for name, held in nodes.items()}
    if any(not lacking for lacking in lacks.values()):
        return
    asked = f"resources ask for {say(demand)} per trial, but "
    if not nodes:
        raise ClusterError(f"{asked}no node is there; start one.")
    name = min(lacks, key=lambda name: (len(lacks[name]), -_share(nodes[name], demand), name))
    held = {resource: nodes[name].get(resource, 0.0) for resource in lacks[name]}
    keys = " or ".join(dict.fromkeys(_key(resource) for resource in lacks[name]))
    raise ClusterError(
        f"{asked}no node has all of it: the nearest, {name}, has {say(held)}; lower {keys}, or "
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
