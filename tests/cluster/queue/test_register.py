"""The queue's memory: who is in it, what each is told, and what it forgets."""

from __future__ import annotations

from typing import Any

from cluster.queue.look import row_of
from cluster.queue.register import CRAMPED_S, LEARNING_S, SILENCE_S, VERSION, Register

NODES = [{"CPU": 3.0}, {"CPU": 1.0}]


class Talk:
    """A register with a clock of its own and drivers that repeat what they were told."""

    def __init__(self, now_s: float = 100.0, *, is_learning: bool = False) -> None:
        self.now_s = now_s
        self.register = Register(self.now_s, is_learning=is_learning)
        self.answers: dict[str, dict[str, Any]] = {}

    def says(self, key: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        known = self.answers.get(key, {})
        message = {
            "version": VERSION,
            "key": key,
            "study": f"study {key}",
            "priority": 0,
            "since": known.get("since"),
            "demand": {"CPU": 1.0},
            "at_most": None,
            "begun": 0,
            "placed": 0,
            "wanted": 9,
            "granted": known.get("granted", 0),
            **changes,
        }
        self.answers[key] = self.register.hear(message, NODES, self.now_s, 5000 + self.now_s)
        return self.answers[key]

    def rows(self) -> list[tuple[str, int, int]]:
        rows = map(row_of, self.register.rows(NODES, self.now_s))
        return [(row.study, row.wanted, row.granted) for row in rows]


def test_who_comes_first_is_served_first_and_the_others_hear_whom_they_wait_for():
    talk = Talk()
    assert talk.says("a") == {
        "version": VERSION,
        "since": 5100.0,
        "granted": 4,
        "is_next": True,
        "yields": False,
        "place": 1,
        "studies": 1,
        "before": [],
    }
    talk.now_s += 1
    second = talk.says("b")
    assert (second["granted"], second["place"], second["studies"]) == (0, 2, 2)
    assert (second["before"], second["is_next"]) == (["study a"], False)
    # The first one wants less, and the second one has the rest.
    assert talk.says("a", wanted=1)["granted"] == 1
    assert talk.says("b")["granted"] == 3
    assert talk.rows() == [("study a", 1, 1), ("study b", 9, 3)]


def test_a_higher_priority_overtakes():
    talk = Talk()
    talk.says("a")
    talk.now_s += 1
    assert talk.says("b", priority=2, at_most=3)["granted"] == 3
    assert talk.says("a")["granted"] == 1
    assert talk.rows() == [("study b", 3, 3), ("study a", 9, 1)]


def test_a_driver_that_leaves_or_is_silent_for_too_long_is_forgotten():
    talk = Talk()
    for key in "abc":
        talk.says(key)
        talk.now_s += 1
    talk.register.leave("a")
    assert talk.says("b")["granted"] == 4
    assert talk.says("c")["before"] == ["study b"]
    talk.now_s += SILENCE_S
    assert talk.says("c")["before"] == ["study b"]
    talk.now_s += 0.1
    assert talk.says("c")["before"] == []
    assert talk.rows() == [("study c", 9, 4)]
    # Nobody is asked for a goodbye twice.
    talk.register.leave("a")


def test_a_driver_that_was_silent_has_its_old_place_when_it_speaks_again():
    talk = Talk()
    talk.says("a")
    talk.now_s += 1
    talk.says("b")
    talk.now_s += SILENCE_S + 1
    assert talk.says("b")["place"] == 1
    assert talk.says("a")["place"] == 1
    assert talk.says("b")["place"] == 2


def test_a_register_in_the_place_of_a_lost_one_changes_nothing_before_it_has_heard_of_all():
    before = Talk()
    before.says("a", wanted=3)
    before.now_s += 1
    before.says("b")
    after = Talk(110.0, is_learning=True)
    after.answers = dict(before.answers)
    # The second one speaks first, and is not taken for the only one.
    assert after.says("b")["granted"] == 1
    assert after.says("new")["granted"] == 0
    assert after.says("a", wanted=3)["granted"] == 3
    after.now_s += LEARNING_S
    assert after.says("b")["granted"] == 1
    assert after.says("a", wanted=3)["place"] == 1
    assert after.says("new")["place"] == 3


def test_others_give_up_places_only_for_a_study_that_has_waited_long_for_what_it_was_granted():
    talk = Talk()
    cramped = {"begun": 2, "placed": 1, "wanted": 2}
    assert talk.says("a", **cramped)["granted"] == 2
    talk.now_s += 1
    assert not talk.says("b")["yields"]
    talk.now_s += CRAMPED_S / 2
    talk.says("a", **cramped)
    talk.now_s += CRAMPED_S / 2 + 0.1
    assert not talk.says("a", **cramped)["yields"]
    assert talk.says("b")["yields"]
    talk.says("a", begun=2, placed=2, wanted=2)
    assert not talk.says("b")["yields"]


def test_a_trial_that_stands_ready_beyond_what_was_granted_asks_nobody_to_yield():
    talk = Talk()
    for _ in range(4):
        talk.says("a", begun=5, placed=4)
        talk.now_s += SILENCE_S / 2
        assert not talk.says("b")["yields"]


def test_a_message_of_another_version_is_understood():
    register = Register(0.0, is_learning=False)
    least = {"key": "a", "study": "s", "priority": 0, "demand": {"CPU": 1.0}, "wanted": 2}
    assert register.hear(least, NODES, 0.0, 1.0)["granted"] == 2
    more = {**least, "version": VERSION + 1, "mood": "good"}
    assert register.hear(more, NODES, 0.0, 1.0)["version"] == VERSION
