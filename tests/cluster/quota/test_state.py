"""The quota actor's state: heartbeats, replies and expired drivers."""

from __future__ import annotations

from typing import Any

from cluster.quota.client import parse_row
from cluster.quota.state import HEARTBEAT_TIMEOUT_S, RECOVERY_S, STARVED_S, VERSION, QuotaState

NODES = [{"CPU": 3.0}, {"CPU": 1.0}]


class Simulation:
    """A state with a clock of its own and drivers that repeat their last reply."""

    def __init__(self, now_s: float = 100.0, *, is_recovering: bool = False) -> None:
        self.now_s = now_s
        self.state = QuotaState(self.now_s, is_recovering=is_recovering)
        self.replies: dict[str, dict[str, Any]] = {}

    def report(self, key: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        known = self.replies.get(key, {})
        message = {
            "version": VERSION,
            "key": key,
            "study": f"study {key}",
            "priority": 0,
            "arrived_s": known.get("arrived_s"),
            "demand": {"CPU": 1.0},
            "max_concurrent": None,
            "running": 0,
            "placed": 0,
            "wanted": 9,
            "granted": known.get("granted", 0),
            **changes,
        }
        self.replies[key] = self.state.update(message, NODES, self.now_s, 5000 + self.now_s)
        return self.replies[key]

    def rows(self) -> list[tuple[str, int, int]]:
        rows = map(parse_row, self.state.rows(NODES, self.now_s))
        return [(row.study, row.wanted, row.granted) for row in rows]


def test_the_first_driver_is_served_first_and_others_see_the_studies_ahead():
    simulation = Simulation()
    assert simulation.report("a") == {
        "version": VERSION,
        "arrived_s": 5100.0,
        "granted": 4,
        "is_next": True,
        "should_yield": False,
        "rank": 1,
        "studies": 1,
        "ahead": [],
    }
    simulation.now_s += 1
    second = simulation.report("b")
    assert (second["granted"], second["rank"], second["studies"]) == (0, 2, 2)
    assert (second["ahead"], second["is_next"]) == (["study a"], False)
    # The first one wants less, and the second one has the rest.
    assert simulation.report("a", wanted=1)["granted"] == 1
    assert simulation.report("b")["granted"] == 3
    assert simulation.rows() == [("study a", 1, 1), ("study b", 9, 3)]


def test_a_higher_priority_overtakes():
    simulation = Simulation()
    simulation.report("a")
    simulation.now_s += 1
    assert simulation.report("b", priority=2, max_concurrent=3)["granted"] == 3
    assert simulation.report("a")["granted"] == 1
    assert simulation.rows() == [("study b", 3, 3), ("study a", 9, 1)]


def test_a_driver_that_leaves_or_misses_heartbeats_is_removed():
    simulation = Simulation()
    for key in "abc":
        simulation.report(key)
        simulation.now_s += 1
    simulation.state.remove("a")
    assert simulation.report("b")["granted"] == 4
    assert simulation.report("c")["ahead"] == ["study b"]
    simulation.now_s += HEARTBEAT_TIMEOUT_S
    assert simulation.report("c")["ahead"] == ["study b"]
    simulation.now_s += 0.1
    assert simulation.report("c")["ahead"] == []
    assert simulation.rows() == [("study c", 9, 4)]
    # A second removal is no error.
    simulation.state.remove("a")


def test_a_driver_that_missed_heartbeats_keeps_its_rank():
    simulation = Simulation()
    simulation.report("a")
    simulation.now_s += 1
    simulation.report("b")
    simulation.now_s += HEARTBEAT_TIMEOUT_S + 1
    assert simulation.report("b")["rank"] == 1
    assert simulation.report("a")["rank"] == 1
    assert simulation.report("b")["rank"] == 2


def test_a_recovering_state_changes_no_grant_before_all_heartbeats():
    before = Simulation()
    before.report("a", wanted=3)
    before.now_s += 1
    before.report("b")
    after = Simulation(110.0, is_recovering=True)
    after.replies = dict(before.replies)
    # The second one's heartbeat comes first, and does not get all.
    assert after.report("b")["granted"] == 1
    assert after.report("new")["granted"] == 0
    assert after.report("a", wanted=3)["granted"] == 3
    after.now_s += RECOVERY_S
    assert after.report("b")["granted"] == 1
    assert after.report("a", wanted=3)["rank"] == 1
    assert after.report("new")["rank"] == 3


def test_others_yield_slots_only_to_a_study_that_is_starved():
    simulation = Simulation()
    starved = {"running": 2, "placed": 1, "wanted": 2}
    assert simulation.report("a", **starved)["granted"] == 2
    simulation.now_s += 1
    assert not simulation.report("b")["should_yield"]
    simulation.now_s += STARVED_S / 2
    simulation.report("a", **starved)
    simulation.now_s += STARVED_S / 2 + 0.1
    assert not simulation.report("a", **starved)["should_yield"]
    assert simulation.report("b")["should_yield"]
    simulation.report("a", running=2, placed=2, wanted=2)
    assert not simulation.report("b")["should_yield"]


def test_a_pending_trial_beyond_the_grant_makes_no_study_yield():
    simulation = Simulation()
    for _ in range(4):
        simulation.report("a", running=5, placed=4)
        simulation.now_s += HEARTBEAT_TIMEOUT_S / 2
        assert not simulation.report("b")["should_yield"]


def test_a_message_of_another_version_is_understood():
    state = QuotaState(0.0, is_recovering=False)
    least = {"key": "a", "study": "s", "priority": 0, "demand": {"CPU": 1.0}, "wanted": 2}
    assert state.update(least, NODES, 0.0, 1.0)["granted"] == 2
    more = {**least, "version": VERSION + 1, "mood": "good"}
    assert state.update(more, NODES, 0.0, 1.0)["version"] == VERSION
