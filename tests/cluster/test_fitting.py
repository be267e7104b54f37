"""What is said of a trial that no node can hold."""

from __future__ import annotations

import pytest

from cluster.errors import ClusterError
from cluster.fitting import require_fit

GIB = 2**30
NODES = [
    ("10.0.0.1", {"CPU": 0.0, "memory": 4.0 * GIB}),
    ("10.0.0.2", {"CPU": 8.0, "GPU": 2.0, "memory": 16.0 * GIB}),
    ("10.0.0.3", {"CPU": 4.0, "memory": 64.0 * GIB, "rtx4090": 1.0}),
]


def refusal(nodes, demand) -> str:
    with pytest.raises(ClusterError) as refused:
        require_fit(nodes, demand)
    return str(refused.value)


@pytest.mark.parametrize(
    "demand",
    [
        {"CPU": 8.0},
        {"CPU": 1.0, "GPU": 0.5, "memory": 16.0 * GIB},
        {"CPU": 4.0, "memory": 64.0 * GIB, "rtx4090": 1.0},
    ],
)
def test_what_one_node_has_is_accepted(demand):
    require_fit(NODES, demand)


def test_what_two_nodes_have_together_fits_on_neither():
    assert refusal(NODES, {"CPU": 1.0, "GPU": 1.0, "rtx4090": 1.0}) == (
        "resources ask for 1 CPU, 1 GPU and 1 rtx4090 per trial, but no node has all of it: the "
        "nearest, 10.0.0.2, has 0 rtx4090; lower resources.custom, or connect to another cluster."
    )


def test_the_node_that_lacks_least_is_named_with_all_that_it_lacks():
    assert refusal(NODES, {"CPU": 6.0, "memory": 128.0 * GIB}) == (
        "resources ask for 6 CPUs and 128 GiB of memory per trial, but no node has all of it: the "
        "nearest, 10.0.0.2, has 16 GiB of memory; lower resources.memory_gib, or connect to "
        "another cluster."
    )
    assert refusal(NODES, {"CPU": 16.0, "GPU": 1.0, "a100": 1.0, "fast": 1.0}) == (
        "resources ask for 16 CPUs, 1 GPU, 1 a100 and 1 fast per trial, but no node has all of "
        "it: the nearest, 10.0.0.2, has 8 CPUs, 0 a100 and 0 fast; lower resources.cpus or "
        "resources.custom, or connect to another cluster."
    )


def test_one_machine_may_have_several_nodes():
    nodes = [("10.0.0.1", {"CPU": 1.0, "lab": 1.0}), ("10.0.0.1", {"CPU": 1.0})]
    require_fit(nodes, {"CPU": 1.0, "lab": 1.0})


def test_a_cluster_without_nodes_is_called_so():
    assert refusal([], {"CPU": 1.0}) == (
        "resources ask for 1 CPU per trial, but no node is there; start one."
    )
