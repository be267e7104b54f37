"""The ledger: what was asked and told, whoever asks, however often."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError

from search_spaces import FloatDimension, IntDimension, Saltelli, Sobol, Space, design_points
from search_spaces.optuna_space import suggest
from study.errors import StoreError
from study.sqlite_file import sqlite_url
from study.store import ledger as ledger_module
from study.store.ends import End
from study.store.folder import TrialKey
from study.store.ledger import DesignSettings, Entry, IntermediateValue, SamplerSettings
from tests.study.by_hand import HandLedger
from tests.study.simulated import empty_database

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


def open_ledger(url: str, study: str = "tiny") -> HandLedger:
    return HandLedger(url, study, maximise=True)


def test_a_file_is_made_with_write_ahead_logging(file_url: str, tmp_path: Path) -> None:
    (tmp_path / "optuna.db").unlink()
    open_ledger(file_url)
    database = sqlite3.connect(tmp_path / "optuna.db")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_trial_is_running_from_the_moment_it_is_asked_for(url: str) -> None:
    ledger = open_ledger(url)
    asked = [ledger.ask_next("a", SPACE, TPE), ledger.enter("a", POINT, SPACE)]
    for entry in asked:
        assert entry.state == "RUNNING"
        assert entry.value is entry.reason is entry.finished_ms is None
        assert ledger.entry(entry.key) == entry
        assert open_ledger(url).entry(entry.key) == entry
    assert set(asked[0].params) == set(SPACE.dimensions)


def test_a_point_is_stored_to_the_last_bit_with_its_types(url: str) -> None:
    point = {**POINT, "is_on": True, "class_mode": "topk"}
    key = open_ledger(url).enter("a", point, SPACE).key
    params = open_ledger(url).entry(key).params
    assert params == point
    assert {name: type(value) for name, value in params.items()} == {
        name: type(value) for name, value in point.items()
    }


def test_trials_are_numbered_from_zero_in_each_arm_and_phase(url: str) -> None:
    ledger = open_ledger(url)
    numbers = [
        [ledger.ask_next(arm, SPACE, TPE).key.number for _ in range(2)]
        + [ledger.enter(arm, POINT, SPACE).key.number for _ in range(2)]
        for arm in ("a", "b")
    ]
    assert numbers == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert [str(e.key) for e in ledger.entries("b", "final")] == ["b/final/0", "b/final/1"]
    assert ledger.entries("c", "search") == []


_OPEN = """
import sys, time
from study.store.ledger import Ledger
while time.time() < float(sys.argv[2]):
    pass
Ledger(sys.argv[1], sys.argv[3], maximise=True)
"""


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "new.db")
    return str(request.getfixturevalue("postgres_url"))


def test_studies_that_begin_at_the_same_moment_share_a_new_database(new_url: str) -> None:
    moment = time.time() + 15
    began = [
        subprocess.Popen([sys.executable, "-c", _OPEN, new_url, str(moment), f"study-{i}"])
        for i in range(4)
    ]
    assert [process.wait() for process in began] == [0, 0, 0, 0]
    assert open_ledger(new_url).entries("a", "search") == []


def test_studies_in_one_database_do_not_meet(url: str) -> None:
    open_ledger(url).ask_next("a", SPACE, TPE)
    assert open_ledger(url, "other").entries("a", "search") == []


@pytest.mark.parametrize(
    ("told", "state", "value", "reason"),
    [
        (lambda ledger, key: ledger.complete(key, 0.75), "COMPLETE", 0.75, None),
        (lambda ledger, key: ledger.prune(key), "PRUNED", None, None),
        (lambda ledger, key: ledger.fail(key, "no memory"), "FAIL", None, "no memory"),
    ],
)
def test_the_first_end_of_a_trial_is_kept_whatever_is_told_later(
    url: str, told, state: str, value: float | None, reason: str | None
) -> None:
    ledger = open_ledger(url)
    key = ledger.ask_next("a", SPACE, TPE).key
    ledger.report_one(key, 1, 0.5)
    told(ledger, key)
    first = ledger.entry(key)
    assert (first.state, first.value, first.reason) == (state, value, reason)
    for other in (ledger, open_ledger(url)):
        other.complete(key, 0.1)
        other.prune(key)
        other.fail(key, "another reason")
        told(other, key)
        assert other.entry(key) == first


def test_a_repeated_report_changes_nothing(url: str) -> None:
    ledger = open_ledger(url)
    key = ledger.ask_next("a", SPACE, TPE).key
    for epoch, value in ((2, 0.5), (1, 0.25), (2, 0.5), (1, 0.25)):
        ledger.report_one(key, epoch, value)
    study = optuna.load_study(study_name="tiny/a/search", storage=url)
    assert study.trials[0].intermediate_values == {1: 0.25, 2: 0.5}
    assert len(study.trials) == 1


def test_reports_of_several_trials_are_stored_together_or_not_at_all(url: str) -> None:
    ledger = open_ledger(url)
    keys = [ledger.ask_next(arm, SPACE, TPE).key for arm in ("a", "a", "b")]
    reports = [
        IntermediateValue(key=key, epoch=epoch, value=value)
        for key in keys
        for epoch, value in ((1, 0.5), (2, math.inf), (3, math.nan))
    ]
    ledger.report(reports[:4])
    ledger.report(reports)
    for study, number in (("tiny/a/search", 0), ("tiny/a/search", 1), ("tiny/b/search", 0)):
        trial = optuna.load_study(study_name=study, storage=url).trials[number]
        assert str(trial.intermediate_values) == "{1: 0.5, 2: inf, 3: nan}"

    other = open_ledger(url)
    other.fail(keys[2], "ended elsewhere")
    later = [IntermediateValue(key=key, epoch=4, value=0.5) for key in keys]
    with pytest.raises(UpdateFinishedTrialError):
        ledger.report(later)
    ledger.report(later[:1])
    trials = optuna.load_study(study_name="tiny/a/search", storage=url).trials
    assert [4 in trial.intermediate_values for trial in trials] == [True, False]


def test_a_pruned_trial_shows_optuna_its_last_value_and_us_none(url: str) -> None:
    ledger = open_ledger(url)
    key = ledger.ask_next("a", SPACE, TPE).key
    ledger.report_one(key, 1, 0.25)
    ledger.report_one(key, 2, 0.5)
    ledger.prune(key)
    (trial,) = optuna.load_study(study_name="tiny/a/search", storage=url).trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert trial.value == 0.5
    assert ledger.entry(key).value is None


def test_a_process_that_starts_again_does_not_repeat_the_draws(url: str) -> None:
    random = SamplerSettings(name="random", seed=3, startup_trials=1)
    points = [
        tuple(open_ledger(url).ask_next("a", SPACE, random).params.values()) for _ in range(4)
    ]
    assert len(set(points)) == 4


def test_the_draws_of_a_study_can_be_repeated(tmp_path: Path) -> None:
    def draw(name: str) -> list[object]:
        ledger = open_ledger(sqlite_url(tmp_path / name))
        found = []
        for i in range(5):
            entry = ledger.ask_next("a", SPACE, TPE)
            ledger.complete(entry.key, float(i))
            found.append(dict(entry.params))
        return found

    assert draw("one.db") == draw("two.db")


@pytest.mark.parametrize("settings", [SOBOL, SALTELLI], ids=["sobol", "saltelli"])
def test_a_design_gives_its_points_in_order_to_whichever_process_asks(
    url: str, settings: DesignSettings
) -> None:
    """Whatever became of the trials before; each process has the design anew."""
    told = [HandLedger.prune, lambda ledger, key: ledger.fail(key, "lost"), lambda *_: None]
    for number in range(9):
        ledger = open_ledger(url)
        asked = ledger.ask_next("a", SPACE, settings)
        assert asked.key.number == number
        told[number % 3](ledger, asked.key)
    stored = [entry.params for entry in open_ledger(url).entries("a", "search")]
    expected = design_points(settings.design, SPACE, settings.seed, 9)
    assert stored == list(expected)
    assert [[type(v) for v in p.values()] for p in stored] == [[int, float, float]] * 9


class Killed(BaseException):
    """Stands for SIGKILL."""


EVERY = pytest.mark.parametrize(
    "settings", [TPE, RANDOM, SOBOL, SALTELLI], ids=["tpe", "random", "sobol", "saltelli"]
)


def begun(url: str, settings: SamplerSettings) -> tuple[HandLedger, Entry]:
    """Give a ledger with two trials, and what an undisturbed one gives as the third."""
    whole, ledger = open_ledger(url, "whole"), open_ledger(url)
    for each in (whole, ledger):
        # The second trial of TPE is drawn at random, and the third from its model.
        for number in range(2):
            each.complete(each.ask_next("a", SPACE, settings).key, 0.5 + number)
    return ledger, whole.ask_next("a", SPACE, settings)


def assert_gives_the_third(url: str, settings: SamplerSettings, undisturbed: Entry) -> None:
    entry = open_ledger(url).ask("a", 2, SPACE, settings)
    assert entry.key.number == 2
    assert entry.params == undisturbed.params
    assert open_ledger(url).entries("a", "search")[2] == entry
    assert len(optuna.load_study(study_name="tiny/a/search", storage=url).trials) == 3


@EVERY
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_while_it_asked_leaves_a_trial_with_its_whole_point_or_none(
    url: str, when: str, settings: SamplerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, undisturbed = begun(url, settings)
    add = ledger_module.add_trial

    def dying(*args: Any) -> None:  # noqa: ANN401 (Optuna's)
        if when == "after":
            add(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "add_trial", dying)
        with pytest.raises(Killed):
            ledger.ask_next("a", SPACE, settings)
    left = open_ledger(url).entries("a", "search")
    assert [e.state for e in left] == ["COMPLETE"] * 2 + ["RUNNING"] * (when == "after")
    # A process that lived on, because its database was away, asks again too.
    assert ledger.ask("a", 2, SPACE, settings).params == undisturbed.params
    assert_gives_the_third(url, settings, undisturbed)


def ask_in_parts(study: optuna.Study) -> None:
    trial = study.ask()
    suggest(trial, SPACE)
    trial.set_user_attr("replicas", None)


@EVERY
@pytest.mark.parametrize("write", range(5))
def test_a_trial_that_an_earlier_version_asked_for_in_part_is_given_the_rest(
    url: str, write: int, settings: SamplerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first versions stored a trial, each parameter and each note one after the other."""
    _, undisturbed = begun(url, settings)
    left = write

    def dying(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return call(*args, **kwargs)

        return wrapper

    study = optuna.load_study(
        study_name="tiny/a/search", storage=url, sampler=settings.proposer(SPACE, 2)
    )
    storage = optuna.storages.RDBStorage
    with monkeypatch.context() as patch:
        for name in ("_create_new_trial", "_set_trial_param", "set_trial_user_attr"):
            patch.setattr(storage, name, dying(getattr(storage, name)))
        with pytest.raises(Killed):
            ask_in_parts(study)
    assert [e.state for e in open_ledger(url).entries("a", "search")] == ["COMPLETE"] * 2
    assert_gives_the_third(url, settings, undisturbed)


def test_a_trial_that_somebody_else_adds_meanwhile_is_an_error(url: str) -> None:
    ledger = open_ledger(url)
    ledger.ask("a", 0, SPACE, TPE)
    optuna.load_study(study_name="tiny/a/search", storage=url).ask()
    with pytest.raises(StoreError) as refused:
        ledger.ask("a", 1, SPACE, TPE)
    assert str(refused.value) == (
        "the next trial of tiny/a/search in the Optuna database must be number 1, but is 2: "
        "another process adds trials to it; end that one, and begin the study under another name."
    )


def test_an_end_that_another_process_told_first_is_kept(url: str) -> None:
    ledger = open_ledger(url)
    key = ledger.ask("a", 0, SPACE, TPE).key
    open_ledger(url).complete(key, 0.25)
    ledger.fail(key, "too late")
    assert (ledger.entry(key).state, ledger.entry(key).value) == ("COMPLETE", 0.25)


def test_asking_for_the_same_number_again_gives_the_trial_that_is_there(url: str) -> None:
    """A database that went away may have kept what it did not live to answer."""
    for _ in range(2):
        ledger = open_ledger(url)
        asked = ledger.ask("a", 0, SPACE, TPE)
        entered = ledger.ask_point(TrialKey(arm="a", phase="final", number=0), POINT, SPACE)
        assert ledger.ask("a", 0, SPACE, TPE) == asked
        assert ledger.ask_point(entered.key, POINT, SPACE) == entered
        assert ledger.entries("a", "search") == [asked]
        assert ledger.entries("a", "final") == [entered]


def test_a_process_killed_while_it_told_may_tell_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(url)
    key = ledger.ask_next("a", SPACE, TPE).key

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "_set_trial_value_without_commit", die)
        with pytest.raises(Killed):
            ledger.complete(key, 0.75)
    again = open_ledger(url)
    running = again.entry(key)
    assert (running.state, running.reason, running.finished_ms) == ("RUNNING", None, None)
    again.complete(key, 0.5)
    assert (again.entry(key).value, again.entry(key).reason) == (0.5, None)


_TIMES = """
import json, sys
from tests.study.by_hand import HandLedger
from tests.study.store.test_ledger import POINT, SPACE, TPE
ledger = HandLedger(sys.argv[1], "tiny", maximise=True)
keys = [ledger.ask_next("a", SPACE, TPE).key, ledger.enter("a", POINT, SPACE).key]
for key in keys:
    ledger.complete(key, 0.5)
print(json.dumps([[e.started_ms, e.finished_ms] for e in map(ledger.entry, keys)]))
"""


def test_times_are_milliseconds_since_1970_in_any_time_zone(url: str) -> None:
    before = int(time.time() * 1000)
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", _TIMES, url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    after = int(time.time() * 1000) + 1
    times = json.loads(done.stdout)
    for started_ms, finished_ms in times:
        assert before <= started_ms <= finished_ms <= after
    ledger = open_ledger(url)
    keys = [TrialKey(arm="a", phase=phase, number=0) for phase in ("search", "final")]
    read = [[e.started_ms, e.finished_ms] for e in map(ledger.entry, keys)]
    assert read == times


def test_a_database_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    path.write_text("this is not SQLite, but long enough to have a header of it\n" * 20)
    with pytest.raises(StoreError) as refused:
        open_ledger(sqlite_url(path))
    assert str(refused.value) == (
        f"the Optuna database {path} cannot be opened: file is not a database; restore it, or "
        "name another with --database."
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"optuna.db cannot be opened: \[Errno"):
        open_ledger(sqlite_url(tmp_path / "file" / "optuna.db"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ann:sesame@127.0.0.1:1/studies",
        "nonsense://ann:sesame@host/studies",
        "no url at all",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        open_ledger(url)
    text = str(refused.value)
    assert text.startswith(f"the Optuna database {url.replace('sesame', '***')} cannot be opened:")
    assert text.endswith("; name another with --database.")
    assert "sesame" not in text


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_taken_away_while_it_is_open_takes_nothing_more(
    file_url: str, tmp_path: Path, is_replaced: bool
) -> None:
    ledger = open_ledger(file_url)
    entry = ledger.ask("challenger", 0, SPACE, RANDOM)
    path = tmp_path / "optuna.db"
    path.rename(tmp_path / "away")
    if is_replaced:
        path.write_bytes((tmp_path / "away").read_bytes())
    end = End(state="COMPLETE", value=0.5, finished_ms=7)
    for write in (
        lambda: ledger.ask("challenger", 1, SPACE, RANDOM),
        lambda: ledger.ask_point(dataclasses.replace(entry.key, phase="final"), POINT, SPACE),
        lambda: ledger.report_one(entry.key, 1, 0.5),
        lambda: ledger.tell(entry.key, end),
    ):
        with pytest.raises(StoreError) as refused:
            write()
        assert str(refused.value) == (
            f"the Optuna database {path} must stay in its place while its study runs, but was "
            "deleted or replaced; put it back."
        )
    (tmp_path / "away").rename(path)
    ledger.tell(entry.key, end)
    assert ledger.entries("challenger", "search")[0].state == "COMPLETE"
