"""Several studies at once on one cluster: each gets its slots, whatever happens to the queue."""

from __future__ import annotations

import signal

import pytest

from cluster.quota.actor import ACTOR_NAME, ACTOR_NAMESPACE
from cluster.quota.client import read_connected_queue
from tests.study.fault_tolerance.shell import TIMEOUT_S
from tests.study.sharing.conftest import StudyDrivers

# At every change two studies share the hosts of ``tests/hosts``.
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1800)]

RANDOM = [{"method": "random"}]


def test_the_study_that_came_second_waits_and_both_finish_though_the_queue_is_killed(
    drivers: StudyDrivers,
) -> None:
    import ray

    processes = [drivers.start(name, arms=RANDOM, trials=12, epochs=12) for name in ("one", "two")]
    drivers.until(
        lambda: len(drivers.rows()) == 2 and "waits" in drivers.output(drivers.rows()[1].study)
    )
    first, second = (row.study for row in drivers.rows())
    # Both slots are the first one's, and no study starts more than one pending trial besides.
    for row in drivers.rows():
        assert row.granted == (2 if row.study == first else 0)
        assert row.running <= (3 if row.study == first else 0)
    assert drivers.n_ended(second) == 0
    ray.kill(ray.get_actor(ACTOR_NAME, namespace=ACTOR_NAMESPACE))
    drivers.until(lambda: len(drivers.rows()) == 2)
    assert [row.study for row in drivers.rows()] == [first, second]
    for driver in processes:
        assert driver.wait(TIMEOUT_S) == 0, drivers.output("one") + drivers.output("two")
    assert (
        f"waits for its turn on the cluster (second of 2 studies, 0 of 12 trials), after "
        f"{first}." in drivers.output(second)
    )
    assert drivers.output(second).count("waits for its turn") == 1
    assert "goes on: " in drivers.output(second)
    assert "waits for its turn" not in drivers.output(first)
    assert drivers.n_ended(first) == drivers.n_ended(second) == 13
    assert read_connected_queue("here") == ()


def test_a_higher_priority_goes_first_and_a_killed_driver_frees_its_slots(
    drivers: StudyDrivers,
) -> None:
    plain = drivers.start("plain", arms=RANDOM, trials=30, epochs=12)
    drivers.until(lambda: drivers.n_ended("plain") > 0)
    urgent = drivers.start(
        "urgent", arms=RANDOM, trials=60, epochs=12, resources={"priority": 5, "cpus": 1}
    )
    # No trial of the first study is stopped; its slots are not used again.
    drivers.until(lambda: drivers.n_ended("urgent") > 2)
    assert [(row.study, row.granted) for row in drivers.rows()] == [("urgent", 2), ("plain", 0)]
    plain_ended = drivers.n_ended("plain")
    drivers.until(lambda: drivers.n_ended("urgent") > 6)
    # Its pending trial may have started first.
    assert drivers.n_ended("plain") - plain_ended <= 1
    drivers.until(lambda: "waits for its turn" in drivers.output("plain"))
    plain.send_signal(signal.SIGTERM)
    assert plain.wait(TIMEOUT_S) == 130, drivers.output("plain")
    drivers.until(lambda: [row.study for row in drivers.rows()] == ["urgent"])
    plain = drivers.start("plain", arms=RANDOM, trials=30, epochs=12)
    drivers.until(lambda: drivers.row("plain") is not None)
    urgent.send_signal(signal.SIGKILL)
    urgent.wait()
    drivers.until(lambda: [row.study for row in drivers.rows()] == ["plain"])
    # A node joins, and the remaining study uses it too.
    drivers.cluster.add_workers([1])
    drivers.until(lambda: drivers.rows()[0].granted == 3)
    drivers.until(lambda: drivers.rows()[0].running >= 3)
    plain.send_signal(signal.SIGTERM)
    assert plain.wait(TIMEOUT_S) == 130, drivers.output("plain")
    # A study that stops leaves the queue.
    assert drivers.rows() == []
