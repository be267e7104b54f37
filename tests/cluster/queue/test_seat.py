"""A driver's seat in the queue, on a real Ray: what it hears, and what it does without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from cluster.queue import Bid, Load, Seat
from cluster.queue import seat as seat_module
from cluster.queue.desk import NAME, NAMESPACE
from cluster.queue.look import look_here
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


def seat_of(study: str, wanted: int, priority: int = 0) -> Seat:
    seat = Seat(Bid(study=study, priority=priority, demand={"CPU": 1.0}))
    assert (seat.granted, seat.limit, seat.place) == (0, 0, "not in the queue yet")
    seat.take(Load(wanted=wanted))
    return seat


@pytest.mark.usefixtures("connected")
def test_two_seats_share_what_there_is_and_the_one_that_is_left_has_it_all():
    first = seat_of("one", 1)
    until(lambda: first.granted == 1)
    second = seat_of("two", 5)
    until(lambda: second.place == "second of 2 studies, 1 of 5 trials")
    assert (second.before, second.limit) == (("one",), 2)
    rows = [(row.study, row.running, row.wanted, row.granted) for row in look_here("here")]
    assert rows == [("one", 0, 1, 1), ("two", 0, 5, 1)]
    first.leave()
    until(lambda: second.place == "first of 1 study, 2 of 5 trials")
    second.tell(Load(begun=1, placed=1, wanted=1))
    until(lambda: second.granted == 1)
    second.leave()
    assert look_here("here") == ()


@pytest.mark.usefixtures("connected")
def test_a_queue_that_is_killed_comes_back_and_the_last_grant_holds_meanwhile():
    import ray

    seat = seat_of("one", 5)
    until(lambda: seat.granted == 2)
    arrived = look_here("here")[0].since_s
    ray.kill(ray.get_actor(NAME, namespace=NAMESPACE))
    until(lambda: seat._desk is None)
    assert seat.granted == 2
    until(lambda: len(look_here("here")) == 1)
    assert look_here("here")[0].since_s == arrived
    assert seat.granted == 2
    seat.leave()


@pytest.mark.usefixtures("connected")
def test_a_queue_of_an_older_version_is_replaced(monkeypatch: pytest.MonkeyPatch):
    import ray

    old = seat_of("one", 5)
    until(lambda: old.granted == 2)
    before = ray.get_actor(NAME, namespace=NAMESPACE)
    old.leave()
    monkeypatch.setattr(seat_module, "VERSION", seat_module.VERSION + 1)
    newer = seat_of("two", 5)
    until(lambda: newer.granted == 2)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(before.rows.remote())
    monkeypatch.undo()
    newer.leave()


def test_a_queue_that_cannot_be_reached_is_no_end_of_the_study(monkeypatch: pytest.MonkeyPatch):
    def refuse(*, is_learning: bool) -> None:  # noqa: ARG001 (the interface)
        raise ConnectionError("nobody\nis there")

    monkeypatch.setattr(seat_module, "open_desk", refuse)
    monkeypatch.setattr(seat_module, "_PATIENCE_S", 0.0)
    seat = seat_of("one", 5)
    until(lambda: seat.trouble == "nobody is there")
    assert (seat.granted, seat.before) == (0, ())
    seat.leave()
