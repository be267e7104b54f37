"""The quota actor: one for all studies of a cluster, found by its name.

Its class travels by value (:func:`get_or_create_actor`), with all of this package that it uses.
Drivers may be of several versions of this program, and the actor outlives the driver that started
it, so that it must not import this package. Versions meet in messages alone, which are plain data.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cluster.quota.state import QuotaState

if TYPE_CHECKING:
    from ray.actor import ActorHandle

ACTOR_NAME: Final = "challenger-quota"
ACTOR_NAMESPACE: Final = "challenger"
# The head outlives every worker, and every cluster has one; this share of it blocks nothing.
_HEAD_NODE: Final = {"node:__internal_head__": 0.0001}


class QuotaActor:
    """The actor around :class:`QuotaState`, which adds the time and the nodes."""

    def __init__(self, is_recovering: bool) -> None:
        """Begin; ``is_recovering`` as for :class:`QuotaState`."""
        import ray

        is_restarted = ray.get_runtime_context().was_current_actor_reconstructed
        self._state = QuotaState(time.monotonic(), is_recovering=is_recovering or is_restarted)

    def update(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Record a driver's heartbeat and return the reply."""
        return self._state.update(message, self._nodes(), time.monotonic(), time.time())

    def remove(self, key: str) -> None:
        """Remove a driver."""
        self._state.remove(key)

    def rows(self) -> list[dict[str, Any]]:
        """Return the queue in its order."""
        return self._state.rows(self._nodes(), time.monotonic())

    def _nodes(self) -> list[dict[str, float]]:
        import ray

        return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def get_or_create_actor(*, is_recovering: bool) -> ActorHandle[Any]:
    """Return the actor of the connected cluster; start it if there is none.

    Args:
        is_recovering: Whether there was one before, whose studies a new one does not know yet.
    """
    import ray

    with pickled_by_value():
        remote: Any = ray.remote(QuotaActor)
        handle: ActorHandle[Any] = remote.options(
            name=ACTOR_NAME,
            namespace=ACTOR_NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            num_cpus=0,
            resources=_HEAD_NODE,
        ).remote(is_recovering)
    return handle


@contextmanager
def pickled_by_value() -> Iterator[None]:
    """Make Ray pickle the quota's code by value instead of by name, within the context."""
    from ray import cloudpickle

    from cluster.quota import actor, allocate, state

    modules = (allocate, state, actor)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]
