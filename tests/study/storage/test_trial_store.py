"""The trial store: trials are created, reported and ended, by any process, repeatedly."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError

from search_spaces import FloatDimension, IntDimension, Saltelli, Sobol, Space, design_points
from study.records.errors import StoreError
from study.storage.layout import TrialKey
from study.storage.optuna_bulk import BulkTables
from study.storage.report_log import TrialOutcome
from study.storage.sqlite import sqlite_url
from study.storage.trial_store import (
    DesignSettings,
    IntermediateValue,
    SamplerSettings,
    TrialRecord,
)
from tests.support.direct_trial_store import DirectTrialStore
from tests.support.simulated import empty_database

SPACE = Space(
    dimensions={
        "top_k": IntDimension(low=1, high=10),
        "alpha": FloatDimension(low=0.1, high=2.0),
        "beta": FloatDimension(low=0.01, high=2.0, log=True),
    },
    fixed={},
)
TPE = SamplerSettings(name="tpe", seed=3, startup_trials=2)
RANDOM = SamplerSettings(name="random", seed=3, startup_trials=1)
SOBOL = DesignSettings(design=Sobol(), seed=3)
SALTELLI = DesignSettings(design=Saltelli(second_order=True), seed=3)
POINT = {"top_k": 3, "alpha": 0.1 + 0.2, "beta": 1 / 3}


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    path = tmp_path / "optuna.db"
    path.write_bytes(empty_database())
    return sqlite_url(path)


@pytest.fixture(
    params=["file_url", pytest.param("postgres_url", marks=pytest.mark.postgres)],
    ids=["sqlite", "postgresql"],
)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def open_store(url: str, study: str = "tiny") -> DirectTrialStore:
    return DirectTrialStore(url, study, maximize=True)


def test_a_point_is_stored_to_the_last_bit_with_its_types(url: str) -> None:
    point = {**POINT, "is_on": True, "class_mode": "topk"}
    key = open_store(url).enqueue_next("a", point, SPACE).key
    params = open_store(url).record(key).params
    assert params == point
    assert {name: type(value) for name, value in params.items()} == {
        name: type(value) for name, value in point.items()
    }


def test_trials_are_numbered_from_zero_in_each_arm_and_phase(url: str) -> None:
    store = open_store(url)
    numbers = [
        [store.ask_next(arm, SPACE, TPE).key.number for _ in range(2)]
        + [store.enqueue_next(arm, POINT, SPACE).key.number for _ in range(2)]
        for arm in ("a", "b")
    ]
    assert numbers == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert [str(e.key) for e in store.records("b", "final")] == ["b/final/0", "b/final/1"]
    assert store.records("c", "search") == []


_OPEN = """
import sys, time
from study.storage.trial_store import TrialStore
while time.time() < float(sys.argv[2]):
    pass
TrialStore(sys.argv[1], sys.argv[3], maximize=True)
"""


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.extended]),
    ],
)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "new.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.mark.service
def test_studies_that_start_at_the_same_moment_share_a_new_database(new_url: str) -> None:
    moment = time.time() + 15
    began = [
        subprocess.Popen([sys.executable, "-c", _OPEN, new_url, str(moment), f"study-{i}"])
        for i in range(4)
    ]
    assert [process.wait() for process in began] == [0, 0, 0, 0]
    assert open_store(new_url).records("a", "search") == []


def test_studies_in_one_database_are_separate(url: str) -> None:
    open_store(url).ask_next("a", SPACE, TPE)
    assert open_store(url, "other").records("a", "search") == []


@pytest.mark.parametrize(
    ("end", "state", "value", "reason"),
    [
        (lambda store, key: store.complete(key, 0.75), "COMPLETE", 0.75, None),
        (lambda store, key: store.prune(key), "PRUNED", None, None),
        (lambda store, key: store.fail(key, "no memory"), "FAIL", None, "no memory"),
    ],
)
def test_the_first_end_of_a_trial_is_kept(
    url: str, end, state: str, value: float | None, reason: str | None
) -> None:
    store = open_store(url)
    key = store.ask_next("a", SPACE, TPE).key
    store.report_one(key, 1, 0.5)
    end(store, key)
    first = store.record(key)
    assert (first.state, first.value, first.reason) == (state, value, reason)
    for other in (store, open_store(url)):
        other.complete(key, 0.1)
        other.prune(key)
        other.fail(key, "another reason")
        end(other, key)
        assert other.record(key) == first


def test_reports_of_several_trials_are_stored_together_or_not_at_all(url: str) -> None:
    store = open_store(url)
    keys = [store.ask_next(arm, SPACE, TPE).key for arm in ("a", "a", "b")]
    reports = [
        IntermediateValue(key=key, epoch=epoch, value=value)
        for key in keys
        for epoch, value in ((1, 0.5), (2, math.inf), (3, math.nan))
    ]
    store.report(reports[:4])
    store.report(reports)
    for study, number in (("tiny/a/search", 0), ("tiny/a/search", 1), ("tiny/b/search", 0)):
        trial = optuna.load_study(study_name=study, storage=url).trials[number]
        assert str(trial.intermediate_values) == "{1: 0.5, 2: inf, 3: nan}"

    other = open_store(url)
    other.fail(keys[2], "ended elsewhere")
    later = [IntermediateValue(key=key, epoch=4, value=0.5) for key in keys]
    with pytest.raises(UpdateFinishedTrialError):
        store.report(later)
    store.report(later[:1])
    trials = optuna.load_study(study_name="tiny/a/search", storage=url).trials
    assert [4 in trial.intermediate_values for trial in trials] == [True, False]


def test_a_pruned_trial_has_its_last_value_in_optuna_and_none_here(url: str) -> None:
    store = open_store(url)
    key = store.ask_next("a", SPACE, TPE).key
    store.report_one(key, 1, 0.25)
    store.report_one(key, 2, 0.5)
    store.prune(key)
    (trial,) = optuna.load_study(study_name="tiny/a/search", storage=url).trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert trial.value == 0.5
    assert store.record(key).value is None


def test_the_draws_of_a_study_can_be_repeated(tmp_path: Path) -> None:
    def draw(name: str) -> list[object]:
        store = open_store(sqlite_url(tmp_path / name))
        found = []
        for i in range(5):
            record = store.ask_next("a", SPACE, TPE)
            store.complete(record.key, float(i))
            found.append(dict(record.params))
        return found

    assert draw("one.db") == draw("two.db")


@pytest.mark.parametrize("settings", [SOBOL, SALTELLI], ids=["sobol", "saltelli"])
def test_a_design_gives_its_points_in_order_to_any_process(
    url: str, settings: DesignSettings
) -> None:
    """Independent of how earlier trials ended; each process computes the design again."""
    ends = [DirectTrialStore.prune, lambda store, key: store.fail(key, "lost"), lambda *_: None]
    for number in range(9):
        store = open_store(url)
        asked = store.ask_next("a", SPACE, settings)
        assert asked.key.number == number
        ends[number % 3](store, asked.key)
    stored = [record.params for record in open_store(url).records("a", "search")]
    expected = design_points(settings.design, SPACE, settings.seed, 9)
    assert stored == list(expected)
    assert [[type(v) for v in p.values()] for p in stored] == [[int, float, float]] * 9


class Killed(BaseException):
    """A simulated SIGKILL."""


EVERY = pytest.mark.parametrize(
    "settings", [TPE, RANDOM, SOBOL, SALTELLI], ids=["tpe", "random", "sobol", "saltelli"]
)


def with_two_trials(url: str, settings: SamplerSettings) -> tuple[DirectTrialStore, TrialRecord]:
    """Return a store with two trials, and the third of an undisturbed one."""
    whole, store = open_store(url, "whole"), open_store(url)
    for each in (whole, store):
        # The second trial of TPE is drawn at random, and the third from its model.
        for number in range(2):
            each.complete(each.ask_next("a", SPACE, settings).key, 0.5 + number)
    return store, whole.ask_next("a", SPACE, settings)


def assert_gives_the_third(url: str, settings: SamplerSettings, undisturbed: TrialRecord) -> None:
    record = open_store(url).ask("a", 2, SPACE, settings)
    assert record.key.number == 2
    assert record.params == undisturbed.params
    assert open_store(url).records("a", "search")[2] == record
    assert len(optuna.load_study(study_name="tiny/a/search", storage=url).trials) == 3


@EVERY
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_while_it_asked_leaves_a_trial_with_its_whole_point_or_none(
    url: str, when: str, settings: SamplerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, undisturbed = with_two_trials(url, settings)
    add = BulkTables.add_trial

    def dying(*args: Any) -> None:  # noqa: ANN401 (Optuna's)
        if when == "after":
            add(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(BulkTables, "add_trial", dying)
        with pytest.raises(Killed):
            store.ask_next("a", SPACE, settings)
    left = open_store(url).records("a", "search")
    assert [e.state for e in left] == ["COMPLETE"] * 2 + ["RUNNING"] * (when == "after")
    # A process that survived, because only its database was unavailable, asks again too.
    assert store.ask("a", 2, SPACE, settings).params == undisturbed.params
    assert_gives_the_third(url, settings, undisturbed)


def test_a_trial_that_another_program_adds_is_an_error(url: str) -> None:
    store = open_store(url)
    store.ask("a", 0, SPACE, TPE)
    optuna.load_study(study_name="tiny/a/search", storage=url).ask()
    with pytest.raises(StoreError) as refused:
        store.ask("a", 1, SPACE, TPE)
    assert str(refused.value) == (
        "the next trial of tiny/a/search in the Optuna database must be number 1, but is 2: "
        "another process adds trials to it; end that one, and begin the study under another name."
    )
    again = open_store(url)
    assert len(again.records("a", "search")) == 1
    with pytest.raises(StoreError, match="trial a/search/1 in the Optuna database must be one of"):
        again.ask("a", 1, SPACE, TPE)


def test_asking_for_the_same_number_again_gives_the_trial_that_is_there(url: str) -> None:
    """A database that became unavailable may have stored a trial without an answer."""
    for _ in range(2):
        store = open_store(url)
        asked = store.ask("a", 0, SPACE, TPE)
        entered = store.enqueue(TrialKey(arm="a", phase="final", number=0), POINT, SPACE)
        assert store.ask("a", 0, SPACE, TPE) == asked
        assert store.enqueue(entered.key, POINT, SPACE) == entered
        assert store.records("a", "search") == [asked]
        assert store.records("a", "final") == [entered]


def test_a_process_killed_while_it_told_may_tell_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(url)
    key = store.ask_next("a", SPACE, TPE).key

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "_set_trial_value_without_commit", die)
        with pytest.raises(Killed):
            store.complete(key, 0.75)
    again = open_store(url)
    running = again.record(key)
    assert (running.state, running.reason, running.finished_ms) == ("RUNNING", None, None)
    again.complete(key, 0.5)
    assert (again.record(key).value, again.record(key).reason) == (0.5, None)


_TIMES = """
import json, sys
from tests.support.direct_trial_store import DirectTrialStore
from tests.study.storage.test_trial_store import POINT, SPACE, TPE
store = DirectTrialStore(sys.argv[1], "tiny", maximize=True)
keys = [store.ask_next("a", SPACE, TPE).key, store.enqueue_next("a", POINT, SPACE).key]
for key in keys:
    store.complete(key, 0.5)
print(json.dumps([[e.started_ms, e.finished_ms] for e in map(store.record, keys)]))
"""


@pytest.mark.service
@pytest.mark.extended
def test_times_are_milliseconds_since_1970_in_any_time_zone(url: str) -> None:
    before = int(time.time() * 1000)
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", _TIMES, url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    after = int(time.time() * 1000) + 1
    times = json.loads(done.stdout)
    for started_ms, finished_ms in times:
        assert before <= started_ms <= finished_ms <= after
    store = open_store(url)
    keys = [TrialKey(arm="a", phase=phase, number=0) for phase in ("search", "final")]
    read = [[e.started_ms, e.finished_ms] for e in map(store.record, keys)]
    assert read == times


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_moved_while_it_is_open_is_not_written(
    file_url: str, tmp_path: Path, is_replaced: bool
) -> None:
    store = open_store(file_url)
    record = store.ask("challenger", 0, SPACE, RANDOM)
    path = tmp_path / "optuna.db"
    path.rename(tmp_path / "away")
    if is_replaced:
        path.write_bytes((tmp_path / "away").read_bytes())
    end = TrialOutcome(state="COMPLETE", value=0.5, finished_ms=7)
    for write in (
        lambda: store.ask("challenger", 1, SPACE, RANDOM),
        lambda: store.enqueue(dataclasses.replace(record.key, phase="final"), POINT, SPACE),
        lambda: store.report_one(record.key, 1, 0.5),
        lambda: store.tell(record.key, end),
    ):
        with pytest.raises(StoreError) as refused:
            write()
        assert str(refused.value) == (
            f"the Optuna database {path} must stay in its place while its study runs, but was "
            "deleted or replaced; put it back."
        )
    (tmp_path / "away").rename(path)
    store.tell(record.key, end)
    assert store.records("challenger", "search")[0].state == "COMPLETE"
