"""A driver's quota client, on a real Ray and without an actor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from cluster.quota import Load, QuotaClient, QuotaRequest
from cluster.quota import client as client_module
from cluster.quota.actor import ACTOR_NAME, ACTOR_NAMESPACE
from cluster.quota.client import read_connected_queue
from cluster.session import ray_session

pytestmark = pytest.mark.ray


@pytest.fixture
def connected(ray_address: str) -> Iterator[None]:
    """Connect to a Ray with two CPUs, whose queue other tests may have started."""
    with ray_session(ray_address):
        yield


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def client_of(study: str, wanted: int, priority: int = 0) -> QuotaClient:
    client = QuotaClient(QuotaRequest(study=study, priority=priority, demand={"CPU": 1.0}))
    assert (client.granted, client.limit, client.position) == (0, 0, "not in the queue yet")
    client.start(Load(wanted=wanted))
    return client


@pytest.mark.usefixtures("connected")
def test_two_clients_share_the_nodes_and_the_remaining_one_gets_all():
    first = client_of("one", 1)
    until(lambda: first.granted == 1)
    second = client_of("two", 5)
    until(lambda: second.position == "second of 2 studies, 1 of 5 trials")
    assert (second.ahead, second.limit) == (("one",), 2)
    rows = [
        (row.study, row.running, row.wanted, row.granted) for row in read_connected_queue("here")
    ]
    assert rows == [("one", 0, 1, 1), ("two", 0, 5, 1)]
    first.close()
    until(lambda: second.position == "first of 1 study, 2 of 5 trials")
    second.report(Load(running=1, placed=1, wanted=1))
    until(lambda: second.granted == 1)
    second.close()
    assert read_connected_queue("here") == ()


@pytest.mark.usefixtures("connected")
def test_a_queue_that_is_killed_comes_back_and_the_last_grant_holds_meanwhile():
    import ray

    client = client_of("one", 5)
    until(lambda: client.granted == 2)
    arrived = read_connected_queue("here")[0].since_s
    ray.kill(ray.get_actor(ACTOR_NAME, namespace=ACTOR_NAMESPACE))
    until(lambda: client._actor is None)
    assert client.granted == 2
    until(lambda: len(read_connected_queue("here")) == 1)
    assert read_connected_queue("here")[0].since_s == arrived
    assert client.granted == 2
    client.close()


@pytest.mark.usefixtures("connected")
def test_a_queue_of_an_older_version_is_replaced(monkeypatch: pytest.MonkeyPatch):
    import ray

    old = client_of("one", 5)
    until(lambda: old.granted == 2)
    before = ray.get_actor(ACTOR_NAME, namespace=ACTOR_NAMESPACE)
    old.close()
    monkeypatch.setattr(client_module, "VERSION", client_module.VERSION + 1)
    newer = client_of("two", 5)
    until(lambda: newer.granted == 2)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(before.rows.remote())
    monkeypatch.undo()
    newer.close()


def test_a_queue_that_cannot_be_reached_is_no_end_of_the_study(monkeypatch: pytest.MonkeyPatch):
    def fail(*, is_recovering: bool) -> None:  # noqa: ARG001 (the interface)
        raise ConnectionError("no\nanswer")

    monkeypatch.setattr(client_module, "get_or_create_actor", fail)
    monkeypatch.setattr(client_module, "_UNAVAILABLE_AFTER_S", 0.0)
    client = client_of("one", 5)
    until(lambda: client.error == "no answer")
    assert (client.granted, client.ahead) == (0, ())
    client.close()
