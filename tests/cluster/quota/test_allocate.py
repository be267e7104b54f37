"""Grants of trials to studies, for arbitrary nodes and studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.quota.allocate import (
    Grant,
    NodeCapacity,
    Request,
    allocate,
    sort_by_priority,
    to_units,
)

SHARES = [0.0, 1.0, 0.5, 0.3333, 0.25, 0.1428]


def request(key: str, **changes: object) -> Request:
    values = {"study": key, "priority": 0, "arrived_s": 0.0, "demand": {"CPU": 1.0}, "wanted": 5}
    return Request(key=key, **{**values, **changes})  # type: ignore[arg-type]


def trials(nodes: Sequence[Mapping[str, float]], *requests: Request) -> dict[str, int]:
    return {key: grant.trials for key, grant in allocate(nodes, requests).items()}


demands = st.builds(
    lambda cpus, gpus, memory, lab: {"CPU": cpus, "GPU": gpus, "memory": memory, "lab": lab},
    st.sampled_from([1.0, 2.0, 3.0]),
    st.sampled_from(SHARES),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([0.0, 0.0, 1.0]),
)
nodes_lists = st.lists(
    st.builds(
        lambda cpus, gpus, memory, lab: {
            "CPU": float(cpus),
            "GPU": float(gpus),
            "memory": float(memory),
            "lab": float(lab),
            "node:10.0.0.1": 1.0,
        },
        st.integers(0, 6),
        st.integers(0, 2),
        st.integers(0, 8),
        st.integers(0, 2),
    ),
    max_size=4,
)
request_lists = st.lists(
    st.builds(
        request,
        st.uuids().map(str),
        priority=st.integers(-1, 1),
        arrived_s=st.integers(0, 3).map(float),
        demand=demands,
        wanted=st.integers(0, 12),
        max_concurrent=st.none() | st.integers(1, 4),
    ),
    max_size=5,
    unique_by=lambda e: e.key,
)


def can_pack(nodes: Sequence[Mapping[str, float]], demands: Sequence[Mapping[str, float]]) -> bool:
    """Return whether trials fit, by trying every node for each: the slow definition."""
    if not demands:
        return True
    first, *rest = demands
    for i, node in enumerate(nodes):
        for node_after in placements(node, first):
            if can_pack([*nodes[:i], node_after, *nodes[i + 1 :]], rest):
                return True
    return False


def placements(node: Mapping[str, float], demand: Mapping[str, float]) -> list[dict[str, float]]:
    """Return the rest of a node for each of its GPUs that a trial could use."""
    left = {k: node.get(k, 0) - v for k, v in demand.items() if k != "GPU" and v}
    if any(v < -1e-9 for v in left.values()):
        return []
    share = demand.get("GPU", 0.0)
    gpus = node.get("gpus") or [1.0] * int(node.get("GPU", 0))
    if not share:
        return [{**node, **left, "gpus": gpus}]
    fits = [i for i, gpu in enumerate(gpus) if gpu - share > -1e-9]
    return [{**node, **left, "gpus": [*gpus[:i], gpus[i] - share, *gpus[i + 1 :]]} for i in fits]


@given(nodes_lists, request_lists)
def test_no_grant_exceeds_what_is_wanted_or_the_study_s_limit(nodes, requests):
    grants = allocate(nodes, requests)
    assert set(grants) == {e.key for e in requests}
    for e in requests:
        assert 0 <= grants[e.key].trials <= e.limit <= e.wanted
        assert e.max_concurrent is None or grants[e.key].trials <= e.max_concurrent


@given(nodes_lists, request_lists)
def test_grants_do_not_exceed_the_nodes(nodes, requests):
    grants = allocate(nodes, requests)
    used: Counter[str] = Counter()
    for e in requests:
        for name, units in to_units(e.demand).items():
            used[name] += units * grants[e.key].trials
    for name, units in used.items():
        assert units <= sum(to_units(node).get(name, 0) for node in nodes)


@given(nodes_lists.map(lambda n: n[:2]), request_lists.map(lambda e: e[:3]))
def test_grants_can_be_placed(nodes, requests):
    grants = allocate(nodes, [replace(e, wanted=min(e.wanted, 3)) for e in requests])
    wanted = [e.demand for e in sort_by_priority(requests) for _ in range(grants[e.key].trials)]
    assert can_pack(nodes, wanted)


@given(nodes_lists, request_lists, st.data())
def test_no_study_changes_the_grants_of_those_before_it(nodes, requests, data):
    order = sort_by_priority(requests)
    before = order[: data.draw(st.integers(0, len(order)))]
    assert {e.key: allocate(nodes, order)[e.key] for e in before} == dict(allocate(nodes, before))


@given(nodes_lists, request_lists)
def test_no_slot_that_a_study_wants_stays_empty(nodes, requests):
    grants = allocate(nodes, requests)
    capacities = [NodeCapacity(node) for node in nodes]
    for e in sort_by_priority(requests):
        for _ in range(grants[e.key].trials):
            assert any(capacity.reserve(to_units(e.demand)) for capacity in capacities)
    for e in requests:
        if grants[e.key].trials < e.limit:
            assert not any(capacity.reserve(to_units(e.demand)) for capacity in capacities)


@given(nodes_lists, request_lists, st.data())
def test_the_order_of_arguments_does_not_matter(nodes, requests, data):
    shuffled = data.draw(st.permutations(requests))
    assert dict(allocate(nodes, shuffled)) == dict(allocate(nodes, requests))


@given(nodes_lists, request_lists)
def test_the_first_that_wants_more_and_no_other_may_have_a_trial_stand_ready(nodes, requests):
    grants = allocate(nodes, requests)
    short = [e.key for e in sort_by_priority(requests) if grants[e.key].trials < e.limit]
    assert [key for key, grant in grants.items() if grant.is_next] == short[:1]


def test_studies_are_sorted_by_priority_and_arrival():
    late, early = request("late", arrived_s=2.0), request("early", arrived_s=1.0)
    urgent = request("urgent", arrived_s=9.0, priority=1, wanted=2)
    assert [e.key for e in sort_by_priority([late, early, urgent])] == ["urgent", "early", "late"]
    assert trials([{"CPU": 8}], late, early, urgent) == {"urgent": 2, "early": 5, "late": 1}


def test_what_one_study_does_not_want_flows_to_the_next():
    assert trials(
        [{"CPU": 2}, {"CPU": 2}], request("a", max_concurrent=1), request("b", arrived_s=1.0)
    ) == {
        "a": 1,
        "b": 3,
    }


@pytest.mark.parametrize(("share", "per_gpu"), [(1.0, 1), (0.5, 2), (0.3333, 3), (0.1428, 7)])
def test_shares_of_a_gpu_are_of_one_gpu(share, per_gpu):
    sharing = request("a", demand={"CPU": 1.0, "GPU": share}, wanted=99)
    for gpus, nodes in product((1, 2), (1, 2)):
        node = {"CPU": 50, "GPU": gpus}
        assert trials([node] * nodes, sharing) == {"a": nodes * gpus * per_gpu}


def test_a_whole_gpu_is_not_made_of_what_is_left_of_two():
    half = request("half", demand={"CPU": 1.0, "GPU": 0.5}, wanted=1)
    two_thirds = request("thirds", demand={"CPU": 1.0, "GPU": 0.3333}, wanted=4, arrived_s=1.0)
    whole = request("whole", demand={"CPU": 1.0, "GPU": 1.0}, wanted=1, arrived_s=2.0)
    assert trials([{"CPU": 9, "GPU": 2}], half, two_thirds, whole) == {
        "half": 1,
        "thirds": 4,
        "whole": 0,
    }


def test_a_study_without_capacity_is_next_only_if_it_wants_something():
    grants = allocate([{"CPU": 1}], [request("a", wanted=1), request("b", arrived_s=1.0)])
    assert grants == {"a": Grant(trials=1), "b": Grant(trials=0, is_next=True)}
    assert allocate([], [request("a", wanted=0)]) == {"a": Grant(trials=0)}
