"""The queue's actor: one for all studies of a cluster, found by its name.

Its class travels by value (:func:`open_desk`), with all of this package that it uses. Drivers may
be of several versions of this program, and the actor outlives whoever started it, so that it must
not import this package from anywhere. Versions meet in messages alone, which are plain data.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cluster.queue.register import Register

if TYPE_CHECKING:
    from ray.actor import ActorHandle

NAME: Final = "challenger-queue"
NAMESPACE: Final = "challenger"
# The head outlives every worker, and every cluster has one; a share of nothing keeps no one out.
_ON_THE_HEAD: Final = {"node:__internal_head__": 0.0001}


class Desk:
    """Passes messages on to a register, with the time and the nodes."""

    def __init__(self, is_learning: bool) -> None:
        """Begin; ``is_learning`` as for :class:`Register`."""
        import ray

        is_again = ray.get_runtime_context().was_current_actor_reconstructed
        self._register = Register(time.monotonic(), is_learning=is_learning or is_again)

    def hear(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a driver says."""
        return self._register.hear(message, self._nodes(), time.monotonic(), time.time())

    def leave(self, key: str) -> None:
        """Forget a driver."""
        self._register.leave(key)

    def rows(self) -> list[dict[str, Any]]:
        """Give the queue, in its order."""
        return self._register.rows(self._nodes(), time.monotonic())

    def _nodes(self) -> list[dict[str, float]]:
        import ray

        return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def open_desk(*, is_learning: bool) -> ActorHandle[Any]:
    """Find the actor of the cluster that is connected, or start it there.

    Args:
        is_learning: Whether there was one before, whose studies a new one has yet to hear of.
    """
    import ray

    with travelling_by_value():
        remote: Any = ray.remote(Desk)
        handle: ActorHandle[Any] = remote.options(
            name=NAME,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            num_cpus=0,
            resources=_ON_THE_HEAD,
        ).remote(is_learning)
    return handle


@contextmanager
def travelling_by_value() -> Iterator[None]:
    """Let what Ray pickles meanwhile hold the queue's own code instead of its name."""
    from ray import cloudpickle

    from cluster.queue import allot, desk, register

    modules = (allot, register, desk)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]
