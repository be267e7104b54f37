"""How many trials fit at a time on the Ray that a study has to itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.queue.allot import Room, in_steps


def own_places(demand: Mapping[str, float]) -> int:
    """Count the places on the Ray that is connected, empty as it is.

    Args:
        demand: What one trial reserves, by Ray's names; something at least.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return places(nodes, demand)


def places(nodes: Iterable[Mapping[str, float]], demand: Mapping[str, float]) -> int:
    """Count how many trials fit on nodes.

    Example:
        >>> places([{"CPU": 4.0, "GPU": 1.0}, {"CPU": 3.0}], {"CPU": 2.0})
        3
        >>> places([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.25})
        4
    """
    return sum(_fill(Room(node), in_steps(demand)) for node in nodes)


def _fill(room: Room, demand: Mapping[str, int]) -> int:
    count = 0
    while room.take(demand):
        count += 1
    return count
