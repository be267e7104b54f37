"""Resources that trials reserve, on nodes with declared GPUs, memory and custom resources."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.quota.allocate import Request, allocate
from cluster.session import ray_session
from study.config.schema import Resources
from study.engine.executors import run_on_ray
from study.engine.executors.slots import ray_resources
from tests.support.simulated import StudyFixture, study_text

pytestmark = [pytest.mark.ray, pytest.mark.extended]

GIB = 2**30


@pytest.fixture(scope="module")
def nodes(ray_home: Path) -> Iterator[str]:  # noqa: ARG001 (its token)
    """Start a head without resources, a node with two GPUs, and one with memory and a card."""
    from ray.cluster_utils import Cluster

    common = {"include_dashboard": False, "object_store_memory": 100_000_000}
    head = {"num_cpus": 0, "num_gpus": 0, "memory": GIB, **common}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=20, num_gpus=2, memory=4 * GIB, object_store_memory=100_000_000)
    cluster.add_node(
        num_cpus=3,
        num_gpus=0,
        memory=8 * GIB,
        resources={"rtx4090": 2},
        object_store_memory=100_000_000,
    )
    yield str(cluster.address)
    cluster.shutdown()


@pytest.mark.parametrize(
    ("resources", "slots"),
    [
        (Resources(gpus=1.0), 2),
        (Resources(gpus=0.5), 4),
        (Resources(gpus=1 / 3), 6),
        (Resources(gpus=1 / 7), 14),
        (Resources(memory_gib=3.0), 3),
        (Resources(custom={"rtx4090": 1.0}), 2),
        (Resources(cpus=2, memory_gib=2.0, custom={"rtx4090": 0.5}), 1),
    ],
    ids=["whole", "half", "third", "seventh", "memory", "custom", "all"],
)
def test_as_many_trials_have_a_slot_at_a_time_as_the_queue_grants(
    nodes: str, resources: Resources, slots: int
) -> None:
    import ray
    from ray.tune import PlacementGroupFactory

    demand = ray_resources(resources)
    request = Request(key="a", study="a", priority=0, arrived_s=0.0, demand=demand, wanted=99)
    with ray_session(nodes):
        held = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        assert allocate(held, [request])["a"].trials == slots
        factory = PlacementGroupFactory([demand])
        groups = [factory.to_placement_group() for _ in range(slots + 1)]
        waiting = [group.ready() for group in groups]
        # Ray places groups in any order: all but one have a slot, and none is left for it.
        ready, rest = ray.wait(waiting, num_returns=slots, timeout=300)
        time.sleep(1)
        ready, rest = ray.wait(waiting, num_returns=slots + 1, timeout=0)
        assert (len(ready), len(rest)) == (slots, 1)
        for group in groups:
            ray.util.remove_placement_group(group)


def test_a_study_trains_where_its_memory_and_its_resource_are(tmp_path: Path, nodes: str) -> None:
    resources = {"memory_gib": 2, "custom": {"rtx4090": 1}}
    text = study_text(arms=[{"method": "base"}], epochs=1, resources=resources)
    place = StudyFixture.of(tmp_path, text)
    coordinator = place.coordinator()
    run_on_ray(coordinator, replace(place.context, address=nodes))
    assert [record.state for record in coordinator.state.records()] == ["COMPLETE"]
