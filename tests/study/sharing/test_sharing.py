"""Several studies at once on one cluster: each has its turn, whatever happens to the queue."""

from __future__ import annotations

import signal

import pytest

from cluster.quota.actor import ACTOR_NAME, ACTOR_NAMESPACE
from cluster.quota.client import read_connected_queue
from tests.study.fault_tolerance.shell import PATIENCE_S
from tests.study.sharing.conftest import Users

# At every change two studies share the hosts of ``tests/hosts``.
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1800)]

RANDOM = [{"method": "random"}]


def test_the_study_that_came_second_waits_and_both_finish_though_the_queue_is_killed(
    users: Users,
) -> None:
    import ray

    drivers = [users.start(name, arms=RANDOM, trials=12, epochs=12) for name in ("one", "two")]
    users.until(lambda: len(users.rows()) == 2 and "waits" in users.said(users.rows()[1].study))
    first, second = (row.study for row in users.rows())
    # Both places are the first one's, and nobody begins more than the one that stands ready.
    for row in users.rows():
        assert row.granted == (2 if row.study == first else 0)
        assert row.running <= (3 if row.study == first else 0)
    assert users.n_ended(second) == 0
    ray.kill(ray.get_actor(ACTOR_NAME, namespace=ACTOR_NAMESPACE))
    users.until(lambda: len(users.rows()) == 2)
    assert [row.study for row in users.rows()] == [first, second]
    for driver in drivers:
        assert driver.wait(PATIENCE_S) == 0, users.said("one") + users.said("two")
    assert (
        f"waits for its turn on the cluster (second of 2 studies, 0 of 12 trials), after "
        f"{first}." in users.said(second)
    )
    assert users.said(second).count("waits for its turn") == 1
    assert "goes on: " in users.said(second)
    assert "waits for its turn" not in users.said(first)
    assert users.n_ended(first) == users.n_ended(second) == 13
    assert read_connected_queue("here") == ()


def test_a_higher_priority_overtakes_and_a_driver_that_is_killed_frees_its_place(
    users: Users,
) -> None:
    plain = users.start("plain", arms=RANDOM, trials=30, epochs=12)
    users.until(lambda: users.n_ended("plain") > 0)
    urgent = users.start(
        "urgent", arms=RANDOM, trials=60, epochs=12, resources={"priority": 5, "cpus": 1}
    )
    # Not one trial is taken from the first study; its places are not used again.
    users.until(lambda: users.n_ended("urgent") > 2)
    assert [(row.study, row.granted) for row in users.rows()] == [("urgent", 2), ("plain", 0)]
    plain_ended = users.n_ended("plain")
    users.until(lambda: users.n_ended("urgent") > 6)
    # The one that stood ready may have gone first.
    assert users.n_ended("plain") - plain_ended <= 1
    users.until(lambda: "waits for its turn" in users.said("plain"))
    plain.send_signal(signal.SIGTERM)
    assert plain.wait(PATIENCE_S) == 130, users.said("plain")
    users.until(lambda: [row.study for row in users.rows()] == ["urgent"])
    plain = users.start("plain", arms=RANDOM, trials=30, epochs=12)
    users.until(lambda: users.row("plain") is not None)
    urgent.send_signal(signal.SIGKILL)
    urgent.wait()
    users.until(lambda: [row.study for row in users.rows()] == ["plain"])
    # A node joins, and the study that is left fills it too.
    users.cluster.add_workers([1])
    users.until(lambda: users.rows()[0].granted == 3)
    users.until(lambda: users.rows()[0].running >= 3)
    plain.send_signal(signal.SIGTERM)
    assert plain.wait(PATIENCE_S) == 130, users.said("plain")
    # Who stops leaves the queue itself.
    assert users.rows() == []
