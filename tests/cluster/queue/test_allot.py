"""Who may have how many trials: whatever nodes and studies there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.queue.allot import Entry, Grant, Room, allot, in_order, in_steps

SHARES = [0.0, 1.0, 0.5, 0.3333, 0.25, 0.1428]


def entry(key: str, **changes: object) -> Entry:
    values = {"study": key, "priority": 0, "since": 0.0, "demand": {"CPU": 1.0}, "wanted": 5}
    return Entry(key=key, **{**values, **changes})  # type: ignore[arg-type]


def trials(nodes: Sequence[Mapping[str, float]], *entries: Entry) -> dict[str, int]:
    return {key: grant.trials for key, grant in allot(nodes, entries).items()}


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
entries_lists = st.lists(
    st.builds(
        entry,
        st.uuids().map(str),
        priority=st.integers(-1, 1),
        since=st.integers(0, 3).map(float),
        demand=demands,
        wanted=st.integers(0, 12),
        at_most=st.none() | st.integers(1, 4),
    ),
    max_size=5,
    unique_by=lambda e: e.key,
)


def can_pack(nodes: Sequence[Mapping[str, float]], demands: Sequence[Mapping[str, float]]) -> bool:
    """Tell whether trials fit, by trying every node for each: slow, and written from the rule."""
    if not demands:
        return True
    first, *rest = demands
    for i, node in enumerate(nodes):
        for node_after in placements(node, first):
            if can_pack([*nodes[:i], node_after, *nodes[i + 1 :]], rest):
                return True
    return False


def placements(node: Mapping[str, float], demand: Mapping[str, float]) -> list[dict[str, float]]:
    """Give what is left of a node for each of its GPUs that a trial could be on."""
    left = {k: node.get(k, 0) - v for k, v in demand.items() if k != "GPU" and v}
    if any(v < -1e-9 for v in left.values()):
        return []
    share = demand.get("GPU", 0.0)
    gpus = node.get("gpus") or [1.0] * int(node.get("GPU", 0))
    if not share:
        return [{**node, **left, "gpus": gpus}]
    fits = [i for i, gpu in enumerate(gpus) if gpu - share > -1e-9]
    return [{**node, **left, "gpus": [*gpus[:i], gpus[i] - share, *gpus[i + 1 :]]} for i in fits]


@given(nodes_lists, entries_lists)
def test_nobody_gets_more_than_wanted_and_what_is_wanted_is_limited_by_the_study(nodes, entries):
    grants = allot(nodes, entries)
    assert set(grants) == {e.key for e in entries}
    for e in entries:
        assert 0 <= grants[e.key].trials <= e.limit <= e.wanted
        assert e.at_most is None or grants[e.key].trials <= e.at_most


@given(nodes_lists, entries_lists)
def test_no_more_is_given_than_the_nodes_hold(nodes, entries):
    grants = allot(nodes, entries)
    used: Counter[str] = Counter()
    for e in entries:
        for name, steps in in_steps(e.demand).items():
            used[name] += steps * grants[e.key].trials
    for name, steps in used.items():
        assert steps <= sum(in_steps(node).get(name, 0) for node in nodes)


@given(nodes_lists.map(lambda n: n[:2]), entries_lists.map(lambda e: e[:3]))
def test_what_is_given_can_be_placed(nodes, entries):
    grants = allot(nodes, [replace(e, wanted=min(e.wanted, 3)) for e in entries])
    wanted = [e.demand for e in in_order(entries) for _ in range(grants[e.key].trials)]
    assert can_pack(nodes, wanted)


@given(nodes_lists, entries_lists, st.data())
def test_no_study_changes_what_those_before_it_get(nodes, entries, data):
    order = in_order(entries)
    before = order[: data.draw(st.integers(0, len(order)))]
    assert {e.key: allot(nodes, order)[e.key] for e in before} == dict(allot(nodes, before))


@given(nodes_lists, entries_lists)
def test_no_place_stays_empty_that_somebody_wants(nodes, entries):
    grants = allot(nodes, entries)
    rooms = [Room(node) for node in nodes]
    for e in in_order(entries):
        for _ in range(grants[e.key].trials):
            assert any(room.take(in_steps(e.demand)) for room in rooms)
    for e in entries:
        if grants[e.key].trials < e.limit:
            assert not any(room.take(in_steps(e.demand)) for room in rooms)


@given(nodes_lists, entries_lists, st.data())
def test_who_is_told_first_changes_nothing(nodes, entries, data):
    shuffled = data.draw(st.permutations(entries))
    assert dict(allot(nodes, shuffled)) == dict(allot(nodes, entries))


@given(nodes_lists, entries_lists)
def test_the_first_that_wants_more_and_no_other_may_have_a_trial_stand_ready(nodes, entries):
    grants = allot(nodes, entries)
    short = [e.key for e in in_order(entries) if grants[e.key].trials < e.limit]
    assert [key for key, grant in grants.items() if grant.is_next] == short[:1]


def test_a_higher_priority_goes_first_and_within_one_who_came_first():
    late, early = entry("late", since=2.0), entry("early", since=1.0)
    urgent = entry("urgent", since=9.0, priority=1, wanted=2)
    assert [e.key for e in in_order([late, early, urgent])] == ["urgent", "early", "late"]
    assert trials([{"CPU": 8}], late, early, urgent) == {"urgent": 2, "early": 5, "late": 1}


def test_what_one_study_does_not_want_flows_to_the_next():
    assert trials([{"CPU": 2}, {"CPU": 2}], entry("a", at_most=1), entry("b", since=1.0)) == {
        "a": 1,
        "b": 3,
    }


@pytest.mark.parametrize(("share", "per_gpu"), [(1.0, 1), (0.5, 2), (0.3333, 3), (0.1428, 7)])
def test_shares_of_a_gpu_are_of_one_gpu(share, per_gpu):
    sharing = entry("a", demand={"CPU": 1.0, "GPU": share}, wanted=99)
    for gpus, nodes in product((1, 2), (1, 2)):
        node = {"CPU": 50, "GPU": gpus}
        assert trials([node] * nodes, sharing) == {"a": nodes * gpus * per_gpu}


def test_a_whole_gpu_is_not_made_of_what_is_left_of_two():
    half = entry("half", demand={"CPU": 1.0, "GPU": 0.5}, wanted=1)
    two_thirds = entry("thirds", demand={"CPU": 1.0, "GPU": 0.3333}, wanted=4, since=1.0)
    whole = entry("whole", demand={"CPU": 1.0, "GPU": 1.0}, wanted=1, since=2.0)
    assert trials([{"CPU": 9, "GPU": 2}], half, two_thirds, whole) == {
        "half": 1,
        "thirds": 4,
        "whole": 0,
    }


def test_a_study_without_room_is_next_only_if_it_wants_something():
    grants = allot([{"CPU": 1}], [entry("a", wanted=1), entry("b", since=1.0)])
    assert grants == {"a": Grant(trials=1), "b": Grant(trials=0, is_next=True)}
    assert allot([], [entry("a", wanted=0)]) == {"a": Grant(trials=0)}
