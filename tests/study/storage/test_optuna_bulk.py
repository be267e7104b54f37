"""Statements of a trial, counted since times depend on the machine; both ways of access."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import Connection, Engine, event

from search_spaces import FloatDimension, IntDimension, Space
from search_spaces.optuna_sampler import make_sampler, suggest_params
from study.engine.protocol import TrialAssignment
from study.records.errors import StoreError
from study.storage.optuna_bulk import BulkTables, TrialTables, open_tables
from study.storage.report_log import TrialOutcome
from study.storage.sqlite import sqlite_url
from study.storage.trial_store import IntermediateValue, SamplerSettings
from tests.benchmarks.overhead import BareOptuna
from tests.support.direct_trial_store import DirectTrialStore
from tests.support.simulated import StudyFixture, empty_database, simulated_reports, study_text

SPACE = Space(
    dimensions={
        "top_k": IntDimension(low=1, high=10),
        **{name: FloatDimension(low=0.1, high=2.0) for name in ("alpha", "beta", "n", "split")},
    },
    fixed={},
)
TPE = SamplerSettings(name="tpe", seed=3, startup_trials=4)


@dataclass
class Counted:
    """Numbers of statements and of transactions that wrote something."""

    statements: int = 0
    written: int = 0
    is_dirty: bool = False

    def note(self, _c: object, _u: object, statement: str, *_rest: object) -> None:
        self.statements += 1
        self.is_dirty |= not statement.startswith("SELECT")

    def end(self, _: Connection) -> None:
        self.written += self.is_dirty
        self.is_dirty = False


@contextmanager
def counted() -> Iterator[Counted]:
    """Count the statements to any database."""
    found = Counted()
    event.listen(Engine, "before_cursor_execute", found.note)
    event.listen(Engine, "commit", found.end)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", found.note)
        event.remove(Engine, "commit", found.end)


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "optuna.db"
    path.write_bytes(empty_database())
    return sqlite_url(path)


def test_ask_report_and_tell_are_a_transaction_each_however_many_trials_there_are(
    url: str,
) -> None:
    store = DirectTrialStore(url, "tiny", maximize=True)
    for number in range(12):
        with counted() as asking:
            key = store.ask("a", number, SPACE, TPE, 1).key
        with counted() as reporting:
            store.report(
                [IntermediateValue(key=key, epoch=epoch, value=0.5) for epoch in range(1, 5)]
            )
        with counted() as telling:
            store.tell(key, TrialOutcome(state="COMPLETE", value=float(number), finished_ms=7))
        # The first one also creates the study.
        if number:
            assert (asking.statements, asking.written) == (5, 1)
        assert (reporting.statements, reporting.written) == (3, 1)
        assert (telling.statements, telling.written) == (6, 1)


@pytest.mark.parametrize(
    ("window_s", "expected"),
    [pytest.param(300.0, (14, 3), id="together"), pytest.param(0.0, (23, 6), id="one-by-one")],
)
def test_a_trial_of_a_study_takes_as_many_statements_and_transactions_as_readme_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    window_s: float,
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr("study.storage.store_writer._BATCH_WINDOW_S", window_s)
    coordinator = StudyFixture.of(tmp_path, study_text(trials=4, epochs=4)).coordinator()
    found = []
    while True:
        with counted() as trial:
            if not isinstance(assignment := coordinator.ask(), TrialAssignment):
                break
            reports = simulated_reports(assignment.config)
            for report in reports:
                coordinator.report(assignment.key, report)
            coordinator.tell(assignment.key)
        # The first trial also creates its arm's Optuna study.
        if assignment.key.phase == "search" and assignment.key.number > 0:
            found.append((trial.statements, trial.written))
    # Before the first epoch there is no objective.
    assert len(reports) == 1 + 4
    assert found == [expected] * 6


def test_optuna_alone_takes_as_many_as_readme_says(url: str) -> None:
    bare = BareOptuna(url, SPACE, startup_trials=1, reports=4)
    bare.run(2)
    for _ in range(3):
        with counted() as trial:
            bare.run(1)
        assert (trial.statements, trial.written) == (71, 12)


def test_a_running_search_reads_no_trial_again(url: str) -> None:
    store = DirectTrialStore(url, "tiny", maximize=True)
    store.ask("a", 0, SPACE, TPE)
    read: list[str] = []

    def note(_c: object, _u: object, statement: str, *_rest: object) -> None:
        # A trial is read with its intermediate values; what Optuna checks before it writes is not.
        if statement.startswith("SELECT") and "FROM trial_intermediate_values" in statement:
            read.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for number in range(1, 8):
            key = store.ask("a", number, SPACE, TPE).key
            store.tell(key, TrialOutcome(state="COMPLETE", value=float(number), finished_ms=7))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert read == []


BOTH = pytest.mark.parametrize("tables", [BulkTables, TrialTables])


@BOTH
@pytest.mark.parametrize("name", ["tpe", "random"])
def test_a_point_is_what_optuna_itself_would_have_sampled_from_its_database(
    url: str, name: str, tables: type[TrialTables], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.storage.trial_store.open_tables", tables)
    settings = SamplerSettings(name=name, seed=3, startup_trials=4)  # type: ignore[arg-type]
    store = DirectTrialStore(url, "tiny", maximize=True)
    study = optuna.create_study(storage=url, study_name="twin", direction="maximize")
    for number in range(12):
        study.sampler = make_sampler(
            settings.name, settings.seed + number, settings.startup_trials
        )
        trial = study.ask()
        suggest_params(trial, SPACE)
        record = store.ask("a", number, SPACE, settings)
        assert dict(record.params) == trial.params
        if number % 4 == 3:
            # Both leave a trial running, which TPE takes into account.
            continue
        for step in (1, 2):
            trial.report(step * float(trial.params["alpha"]), step)
            store.report_one(record.key, step, step * float(record.params["alpha"]))
        if number % 4 == 2:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            store.tell(record.key, TrialOutcome(state="PRUNED", finished_ms=7))
        else:
            study.tell(trial, float(trial.params["alpha"]))
            value = float(record.params["alpha"])
            store.tell(record.key, TrialOutcome(state="COMPLETE", value=value, finished_ms=7))
    stored = optuna.load_study(study_name="tiny/a/search", storage=url).trials
    for mine, twin in zip(stored, study.trials, strict=True):
        assert (mine.params, mine.distributions) == (twin.params, twin.distributions)
        assert (mine.state, mine.values) == (twin.state, twin.values)
        assert mine.intermediate_values == twin.intermediate_values


@BOTH
def test_all_trials_are_read_as_optuna_reads_them(url: str, tables: type[TrialTables]) -> None:
    store = DirectTrialStore(url, "tiny", maximize=True)
    for number in range(6):
        key = store.ask("a", number, SPACE, TPE, 2).key
        store.report_one(key, 1, float("inf") if number == 4 else 0.1 + number)
        if number < 4:
            store.tell(key, TrialOutcome(state="COMPLETE", value=0.1 + number, finished_ms=7))
        elif number == 4:
            store.tell(key, TrialOutcome(state="FAIL", reason="no memory", finished_ms=7))
    storage = optuna.storages.RDBStorage(url)
    study_id = storage.get_study_id_from_name("tiny/a/search")
    with counted() as reading:
        found = tables(storage).read_trials(study_id)
    if tables is BulkTables:
        assert (reading.statements, reading.written) == (5, 0)
    expected = storage.get_all_trials(study_id)
    assert len(found) == len(expected) == 6
    for mine, theirs in zip(found, expected, strict=True):
        for name in (
            "number",
            "_trial_id",
            "state",
            "values",
            "params",
            "distributions",
            "user_attrs",
            "intermediate_values",
        ):
            assert getattr(mine, name) == getattr(theirs, name), name
        assert [type(v) for v in mine.params.values()] == [type(v) for v in theirs.params.values()]


@BOTH
def test_both_ways_write_the_same_and_refuse_the_same(url: str, tables: type[TrialTables]) -> None:
    storage = RDBStorage(url)
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study_id = storage.get_study_id_from_name("s")
    access = tables(storage)
    points = [{"alpha": 0.5}, {"alpha": 0.25}]
    ids = []
    for number, params in enumerate(points):
        trial = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions={"alpha": optuna.distributions.FloatDistribution(0.1, 2.0)},
            user_attrs={"started_ms": 7},
        )
        trial.number = number
        ids.append(access.add_trial(study_id, trial))
        with pytest.raises(StoreError, match=f"s in the .* must be number {number}, but is"):
            access.add_trial(study_id, trial)
    access.add_intermediate_values({(ids[0], 1): 0.5, (ids[1], 1): 0.75})
    access.add_intermediate_values({(ids[0], 1): 0.625, (ids[0], 2): float("inf")})
    access.end_trial(ids[0], TrialState.COMPLETE, 0.5, {"finished_ms": 9})
    with pytest.raises(UpdateFinishedTrialError):
        access.end_trial(ids[0], TrialState.FAIL, None, {"reason": "late"})
    with pytest.raises(UpdateFinishedTrialError):
        access.add_intermediate_values({(ids[1], 2): 0.5, (ids[0], 3): 0.5})
    first, second = study.trials
    assert [first.params, second.params] == points
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.5)
    assert first.user_attrs == {"started_ms": 7, "finished_ms": 9}
    assert first.intermediate_values == {1: 0.5, 2: float("inf")}
    assert (second.state, second.intermediate_values) == (TrialState.RUNNING, {1: 0.75})


def test_versions_of_optuna_with_untested_tables_are_accessed_by_the_public_api(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = RDBStorage(url)
    assert isinstance(open_tables(storage), BulkTables)
    assert not caplog.records
    monkeypatch.setattr(optuna, "__version__", "5.1.0")
    assert type(open_tables(storage)) is TrialTables
    assert "Optuna 5.1.0 is not a version" in caplog.text
