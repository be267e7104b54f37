"""The coordinator: order, reports and ends of trials, on simulated studies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from search_spaces import ParamValue
from study.config.arm import replica_seeds
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import Done, Stop, TrialAssignment, Wait
from study.records.errors import StoreError
from study.results.build import build_trial_table
from study.results.state import StudyState, best_params
from study.storage.layout import TrialKey
from study.storage.optuna_bulk import BulkTables
from study.storage.report_log import append_report
from study.storage.trial_files import write_outcome
from study.storage.trial_store import TrialRecord
from tests.support.simulated import (
    NOISE,
    OPTIMUM,
    PEAK,
    RecordingCallback,
    StudyFixture,
    assigned,
    complete,
    level,
    lines,
    metrics_of,
    scripted,
    simulate,
    simulated_reports,
    study_file,
    study_text,
)
from trainables.report import Report, mean

CHALLENGER = TrialKey(arm="challenger", phase="search", number=0)


@pytest.fixture
def place(tmp_path: Path) -> StudyFixture:
    return StudyFixture.of(tmp_path, study_text())


def changed(place: StudyFixture, **changes: object) -> StudyFixture:
    """Return the same folder with another study file."""
    return StudyFixture.of(place.root, study_text(**changes))


def train(
    coordinator: TrialCoordinator, assignment: TrialAssignment, *, until: int | None = None
) -> None:
    """Report a trial's evaluations, all or up to an epoch."""
    for report in simulated_reports(assignment.config):
        if until is None or report.epoch <= until:
            coordinator.report(assignment.key, report)


def states(state: StudyState) -> dict[str, str]:
    return {str(record.key): record.state for record in state.records()}


def stored_values(place: StudyFixture, arm: str, phase: str) -> Iterator[dict[int, float]]:
    """Yield the intermediate values in Optuna of each trial of an arm: epoch to value."""
    name = f"tiny/{arm}/{phase}"
    if name not in optuna.get_all_study_names(place.storage.database_url):
        return
    study = optuna.load_study(study_name=name, storage=place.storage.database_url)
    for trial in study.trials:
        yield dict(trial.intermediate_values)


def records_of(state: StudyState, arm: str, phase: str) -> list[TrialRecord]:
    return [e for e in state.records() if (e.key.arm, e.key.phase) == (arm, phase)]


def objectives(state: StudyState, key: TrialKey) -> dict[int, float]:
    """Return the mean objective of a trial's stored reports by epoch."""
    metric = "val/accuracy"
    stored = [r for r in state.reports_of(key) if metric in r.metrics]
    return {r.epoch: mean(r.metrics[metric]) for r in stored}


def assert_store_equals_report_logs(place: StudyFixture) -> None:
    """Compare numbers, epochs, objectives and ends in trial store and report logs."""
    state = place.state()
    epochs = place.spec.arms[0].training.epochs
    for arm in place.spec.arms:
        for phase in ("search", "final"):
            records = records_of(state, arm.name, phase)
            assert [e.key.number for e in records] == list(range(len(records)))
            for record, stored in zip(records, stored_values(place, arm.name, phase), strict=True):
                assert stored == objectives(state, record.key)
                assert len(lines(place, record.key)) == len(state.reports_of(record.key))
                if record.state == "COMPLETE":
                    assert record.value == stored[epochs]


@pytest.mark.extended
def test_two_hundred_trials_of_tpe_find_the_top_of_a_known_surface(tmp_path: Path) -> None:
    arms = [{"method": "challenger"}]
    place = StudyFixture.of(
        tmp_path, study_text(trials=200, startup_trials=10, sweep=[], arms=arms)
    )
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    assert isinstance(coordinator.ask(), Done)
    found = states(place.state())
    assert len(found) == 201
    assert set(found.values()) == {"COMPLETE"}
    assert_store_equals_report_logs(place)
    best = coordinator.state.best(place.spec.arms[0])
    assert best is not None
    # As near as the noise of a mean over two replicas allows, with a margin.
    assert level(best) > PEAK - 6 * NOISE
    middle = {"top_k": 5.5, "n_features": 0.155, "alpha": 1.05, "beta": 1.05, "split": 0.5}
    assert level(best) > level(middle)
    assert set(best) == set(OPTIMUM)


def test_a_simulated_study_is_a_function_of_its_seed(tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        place = StudyFixture.of(tmp_path / name, study_text(trials=5, seed=seed))
        simulate(place.coordinator(), place.context)
        results.append(metrics_of(place.folder))
    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize("seed", range(3))
def test_reports_twice_late_and_out_of_order_are_counted_once(tmp_path: Path, seed: int) -> None:
    place = StudyFixture.of(tmp_path, study_text(trials=15, epochs=6, sweep=[1, 2, 3]))
    recorder = RecordingCallback()
    coordinator = place.coordinator([recorder])
    scripted(seed)(coordinator, place.context)
    found = states(place.state())
    assert "RUNNING" not in found.values()
    assert len(recorder.reports) == len(set(recorder.reports))
    for record in coordinator.state.records():
        number, is_search = record.key.number, record.key.phase == "search"
        fails, stops = is_search and number % 5 == 4, is_search and number % 7 == 6
        assert record.state == ("FAIL" if fails else "PRUNED" if stops else "COMPLETE")
        assert record.reason == ("scripted" if fails else None)
    ends = [name for state, name in recorder.events if state != "began"]
    assert sorted(ends) == sorted(found)
    assert_store_equals_report_logs(place)


def test_searches_are_interleaved_and_base_fills_the_slots_before_other_finals(
    place: StudyFixture,
) -> None:
    recorder = RecordingCallback()
    coordinator = place.coordinator([recorder])
    simulate(coordinator, place.context)
    assert [name for event, name in recorder.events if event == "began"] == [
        "random/search/0",
        "challenger/search/0",
        "random/search/1",
        "challenger/search/1",
        "base/final/0",
        "random/final/0",
        "challenger/final/0",
        "challenger/final/1",
        *(
            ["challenger/final/2"]
            if coordinator.state.best(place.spec.arms[2])["top_k"] > 2
            else []
        ),
    ]


def test_an_arm_that_is_behind_is_asked_first(place: StudyFixture) -> None:
    arms = study_file()["arms"]
    arms[1] = {"method": "random", "search": {"trials": 4}}
    coordinator = changed(place, arms=arms).coordinator()
    keys = [str(assigned(coordinator).key) for _ in range(6)]
    assert keys == [
        "random/search/0",
        "challenger/search/0",
        "random/search/1",
        "random/search/2",
        "challenger/search/1",
        "random/search/3",
    ]


def test_finals_wait_for_the_whole_search_of_their_arm_alone(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    search = [assigned(coordinator) for _ in range(4)]
    base = assigned(coordinator)
    assert str(base.key) == "base/final/0"
    assert isinstance(coordinator.ask(), Wait)
    for assignment in search:
        if assignment.key.arm == "random":
            assert isinstance(coordinator.ask(), Wait)
            complete(coordinator, assignment)
    assert str(assigned(coordinator).key) == "random/final/0"
    assert isinstance(coordinator.ask(), Wait)


def test_search_and_final_trials_share_no_seed_and_arms_share_all(place: StudyFixture) -> None:
    recorder = RecordingCallback()
    seeds: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    coordinator = place.coordinator([recorder])
    while isinstance(step := coordinator.ask(), TrialAssignment):
        seeds.setdefault((step.key.arm, step.key.phase), set()).add(step.config.seeds)
        assert step.config.is_final == (step.key.phase == "final")
        complete(coordinator, step)
    search, final = (replica_seeds(place.spec.seed, phase, 2) for phase in ("search", "final"))
    assert not set(search) & set(final)
    assert {key: value for key, value in seeds.items() if key[1] == "search"} == {
        (arm, "search"): {search} for arm in ("random", "challenger")
    }
    assert {key: value for key, value in seeds.items() if key[1] == "final"} == {
        (arm, "final"): {final} for arm in ("base", "random", "challenger")
    }


def test_a_study_is_done_only_when_its_last_trial_has_ended(place: StudyFixture) -> None:
    place = changed(place, arms=[{"method": "base"}])
    coordinator = place.coordinator()
    assert coordinator.has_work()
    assignment = assigned(coordinator)
    assert isinstance(coordinator.ask(), Wait)
    assert coordinator.has_work()
    complete(coordinator, assignment)
    assert isinstance(coordinator.ask(), Done)
    assert not coordinator.has_work()
    assert not place.coordinator().has_work()


def test_no_more_trials_are_assigned_than_may_run_at_a_time(place: StudyFixture) -> None:
    coordinator = changed(place, resources={"max_concurrent": 2}).coordinator()
    first, _ = assigned(coordinator), assigned(coordinator)
    assert isinstance(coordinator.ask(), Wait)
    complete(coordinator, first)
    third = assigned(coordinator)
    assert isinstance(coordinator.ask(), Wait)
    coordinator.tell_failure(third.key, "lost")
    assert isinstance(coordinator.ask(), TrialAssignment)


def test_an_executor_without_slots_gets_no_trial_but_the_end(
    place: StudyFixture,
) -> None:
    coordinator = changed(place, arms=[{"method": "base"}]).coordinator()
    assert (coordinator.n_running, coordinator.n_pending) == (0, 1)
    assert isinstance(coordinator.ask(limit=0), Wait)
    first = assigned(coordinator)
    assert (coordinator.n_running, coordinator.n_pending) == (1, 0)
    assert isinstance(coordinator.ask(limit=1), Wait)
    complete(coordinator, first)
    assert (coordinator.n_running, coordinator.n_pending) == (0, 0)
    assert isinstance(coordinator.ask(limit=0), Done)
    coordinator.stop()
    assert isinstance(coordinator.ask(limit=0), Stop)


def test_the_smaller_of_two_limits_holds(place: StudyFixture) -> None:
    coordinator = changed(place, resources={"max_concurrent": 2}).coordinator()
    assigned(coordinator)
    assert isinstance(coordinator.ask(limit=1), Wait)
    assert isinstance(coordinator.ask(limit=5), TrialAssignment)
    assert isinstance(coordinator.ask(limit=5), Wait)


def test_pending_trials_are_those_that_are_assigned_until_one_ends(place: StudyFixture) -> None:
    left = place.coordinator()
    for _ in range(2):
        assigned(left)
    # Two of the trials were interrupted.
    coordinator = place.coordinator()
    expected = coordinator.n_pending
    started = []
    while isinstance(step := coordinator.ask(), TrialAssignment):
        started.append(step)
        assert coordinator.n_pending == expected - len(started)
    assert len(started) == expected > 2
    for step in started:
        complete(coordinator, step)
    # The searches have ended, and their sweeps and controls can start.
    finals = coordinator.n_pending
    assert finals > 0
    simulate(coordinator, place.context)
    assert coordinator.n_pending == 0


def test_interrupted_trials_count_as_running_only_once_they_are_assigned(
    place: StudyFixture,
) -> None:
    before = place.coordinator()
    for _ in range(3):
        assigned(before)
    coordinator = changed(place, resources={"max_concurrent": 2}).coordinator()
    assert [assigned(coordinator).key.number for _ in range(2)] == [0, 1]
    assert isinstance(coordinator.ask(), Wait)


def test_the_chosen_point_is_not_trained_again_by_the_sweep(tmp_path: Path) -> None:
    sweep = list(range(1, 11))
    place = StudyFixture.of(
        tmp_path, study_text(sweep=sweep, arms=study_file(sweep=sweep)["arms"][2:])
    )
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    finals = [e for e in coordinator.state.records() if e.key.phase == "final"]
    best = coordinator.state.best(place.spec.arms[0])
    assert best is not None
    assert dict(finals[0].params) == best
    assert sorted(e.params["top_k"] for e in finals) == sweep
    for record in finals:
        assert {**record.params, "top_k": best["top_k"]} == best


def test_an_interrupted_trial_is_assigned_again_under_its_number_with_its_point(
    place: StudyFixture,
) -> None:
    before = place.coordinator()
    left = [assigned(before) for _ in range(3)]
    train(before, left[1], until=1)
    after = place.coordinator()
    again = [assigned(after) for _ in range(3)]
    assert sorted(map(str, (a.key for a in again))) == sorted(map(str, (a.key for a in left)))
    by_key = {a.key: a for a in again}
    for assignment in left:
        assert by_key[assignment.key] == assignment
    assert [r.epoch for r in after.state.reports_of(left[1].key)] == [0, 1]
    # The rest of the study is what it would have been.
    for assignment in again:
        complete(after, assignment)
    simulate(after, place.context)
    assert set(states(place.state()).values()) == {"COMPLETE"}
    assert_store_equals_report_logs(place)


def test_a_trial_whose_last_report_is_stored_is_told_without_training(place: StudyFixture) -> None:
    before = place.coordinator()
    assignment = assigned(before)
    train(before, assignment)
    assert before.state.config(next(before.state.records())) == assignment.config
    recorder = RecordingCallback()
    after = place.coordinator([recorder])
    assert recorder.events == [("COMPLETE", str(assignment.key))]
    assert states(after.state)[str(assignment.key)] == "COMPLETE"
    assert assigned(after).key != assignment.key
    assert_store_equals_report_logs(place)


def test_a_report_that_reached_only_the_file_reaches_the_store_at_the_next_start(
    place: StudyFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    before = place.coordinator()
    assignment = assigned(before)
    train(before, assignment, until=1)
    with monkeypatch.context() as patch:
        patch.setattr("study.storage.trial_store.TrialStore.report", die)
        before.report(assignment.key, simulated_reports(assignment.config)[2])
        # A report is not waited for; the next call raises.
        with pytest.raises(Killed):
            before.flush()
    after = place.coordinator()
    simulate(after, place.context)
    assert_store_equals_report_logs(place)


class Killed(BaseException):
    """A simulated SIGKILL."""


class CrashPoint:
    """Kills at a chosen write to the database or to a result file."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int | None) -> None:
        """Wrap every write."""
        self.writes = 0
        self._at = at
        patch.setattr(BulkTables, "add_trial", self._mortal(BulkTables.add_trial))
        patch.setattr(BulkTables, "end_trial", self._mortal(BulkTables.end_trial))
        patch.setattr("study.engine.coordinator.append_report", self._mortal(append_report))
        patch.setattr("study.engine.coordinator.write_outcome", self._mortal(write_outcome))

    def _mortal(self, write: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            self.writes += 1
            if self.writes == self._at:
                raise Killed
            return write(*args, **kwargs)

        return wrapper


def test_a_study_killed_before_any_of_its_writes_ends_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"epochs": 1, "arms": study_file(sweep=[1, 10])["arms"][2:]}
    with monkeypatch.context() as patch:
        death = CrashPoint(patch, None)
        place = StudyFixture.of(tmp_path / "whole", study_text(**changes))
        simulate(place.coordinator(), place.context)
        expected = states(place.state())
    assert death.writes > 20
    for at in range(1, death.writes + 1):
        place = StudyFixture.of(tmp_path / str(at), study_text(**changes))
        with monkeypatch.context() as patch:
            CrashPoint(patch, at)
            with pytest.raises(Killed):
                simulate(place.coordinator(), place.context)
        coordinator = place.coordinator()
        simulate(coordinator, place.context)
        found = states(place.state())
        assert found.keys() >= {"challenger/search/0", "challenger/search/1", "challenger/final/0"}
        assert set(found.values()) == {"COMPLETE"}
        # A point drawn again may choose another K, so that the sweep is one longer or shorter.
        assert abs(len(found) - len(expected)) <= 1
        assert all(set(e.params) == set(OPTIMUM) for e in coordinator.state.records())
        assert_store_equals_report_logs(place)


def test_an_arm_whose_search_found_nothing_has_no_final_and_the_study_ends(
    place: StudyFixture,
) -> None:
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        if step.key.arm == "random":
            coordinator.tell_failure(step.key, "diverged")
        else:
            complete(coordinator, step)
    assert isinstance(step, Done)
    assert not coordinator.has_work()
    assert coordinator.state.best(place.spec.arm("random")) is None
    finals = {e.key.arm for e in coordinator.state.records() if e.key.phase == "final"}
    assert finals == {"base", "challenger"}


def test_a_study_whose_trials_all_failed_ends(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        coordinator.tell_failure(step.key, "diverged")
    assert states(coordinator.state) == {
        **{f"{arm}/search/{i}": "FAIL" for arm in ("random", "challenger") for i in range(2)},
        "base/final/0": "FAIL",
    }


def test_a_trial_stopped_before_its_budget_is_pruned_and_never_chosen(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        stops = step.key.phase == "search" and step.key.number == 0
        train(coordinator, step, until=2 if stops else None)
        coordinator.tell(step.key)
    assert states(coordinator.state)["challenger/search/0"] == "PRUNED"
    record = next(e for e in coordinator.state.records() if str(e.key) == "challenger/search/1")
    assert coordinator.state.best(place.spec.arm("challenger")) == record.params


def test_more_trials_another_sweep_and_a_new_arm_continue_a_finished_study(
    place: StudyFixture,
) -> None:
    simulate(place.coordinator(), place.context)
    before = metrics_of(place.folder)
    arms = [
        *study_file(sweep=[1, 2, 3])["arms"],
        {"method": {"name": "random", "clip": [0.0, 1.0]}, "name": "clipped"},
    ]
    larger = changed(place, trials=4, arms=arms)
    coordinator = larger.coordinator()
    assert coordinator.has_work()
    simulate(coordinator, larger.context)
    after = metrics_of(place.folder)
    assert {name: after[name] for name in before} == before
    counts = {
        a.name: len(records_of(coordinator.state, a.name, "search")) for a in larger.spec.arms
    }
    assert counts == {"base": 0, "random": 4, "challenger": 4, "clipped": 4}
    best = coordinator.state.best(larger.spec.arm("challenger"))
    assert best is not None
    finals = [dict(e.params) for e in records_of(coordinator.state, "challenger", "final")]
    for value in (1, 2, 3, best["top_k"]):
        assert finals.count({**best, "top_k": value}) == 1
    assert_store_equals_report_logs(larger)
    assert isinstance(larger.coordinator().ask(), Done)


def test_more_final_replicas_train_the_final_points_again_and_leave_the_search_as_it_is(
    place: StudyFixture,
) -> None:
    simulate(place.coordinator(), place.context)
    before = metrics_of(place.folder)
    defaults = study_file()["defaults"]
    larger = changed(place, defaults={**defaults, "replicas": {"search": 2, "final": 5}})
    coordinator = larger.coordinator()
    simulate(coordinator, larger.context)
    after = metrics_of(place.folder)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[1] for name in set(after) - set(before)} == {"final"}
    table = build_trial_table(larger.spec, larger.folder, coordinator.state)
    for arm in larger.spec.arms:
        finals = table.select(arm.name, "final")
        assert {len(row.seeds) for row in finals} == {5}
        assert {len(row.last("val/accuracy") or ()) for row in finals} == {5}
        twice = [row for row in table.rows if row.arm == arm.name and row.phase == "final"]
        assert len(twice) == 2 * len(finals)
        assert [row.seeds for row in twice[: len(finals)]] == [finals[0].seeds[:2]] * len(finals)
        assert {len(row.seeds) for row in table.select(arm.name, "search")} <= {2}
    assert isinstance(larger.coordinator().ask(), Done)


def test_a_trial_started_with_fewer_replicas_continues_with_them(place: StudyFixture) -> None:
    place = changed(place, arms=[{"method": "base"}])
    left = assigned(place.coordinator())
    more = changed(place, arms=[{"method": "base", "replicas": {"final": 5}}])
    coordinator = more.coordinator()
    assert assigned(coordinator).config == left.config
    assert len(assigned(coordinator).config.seeds) == 5


def test_a_study_file_with_fewer_trials_than_there_are_creates_none(place: StudyFixture) -> None:
    larger = changed(place, trials=4)
    simulate(larger.coordinator(), larger.context)
    coordinator = place.coordinator()
    assert isinstance(coordinator.ask(), Done)


def test_a_database_without_the_trials_is_refused_before_anything_is_created(
    place: StudyFixture,
) -> None:
    coordinator = place.coordinator()
    for _ in range(2):
        train(coordinator, assigned(coordinator), until=1)
    other = StudyFixture.of(place.root, study_text(), f"sqlite:///{place.root}/other.db")
    lost = "has files, but no row in the Optuna database"
    with pytest.raises(StoreError) as refused:
        other.coordinator()
    assert str(refused.value) == (
        f"the Optuna database and the result files of {place.folder.path} must agree, but: "
        f"random/search/0: {lost}; challenger/search/0: {lost}. If this is not the database that "
        "the study was run with, name that one by --database or CHALLENGER_DATABASE, or put it "
        "back. Otherwise 'repair tiny' restores the database from the files and trains again what "
        "is missing."
    )
    assert place.coordinator().has_work()


def test_reading_the_state_changes_nothing_while_a_study_runs(place: StudyFixture) -> None:
    recorder = RecordingCallback()
    running = place.coordinator()
    finished, halfway = assigned(running), assigned(running)
    train(running, finished)
    train(running, halfway, until=1)
    files = {path: path.read_bytes() for path in place.folder.path.rglob("*.jsonl")}
    reader = place.state()
    assert set(states(reader).values()) == {"RUNNING"}
    assert recorder == RecordingCallback()
    assert {path: path.read_bytes() for path in place.folder.path.rglob("*.jsonl")} == files
    running.tell(finished.key)
    complete(running, halfway)
    assert set(states(place.state()).values()) == {"COMPLETE"}


@pytest.mark.parametrize("end", ["finish", "prune", "fail"])
def test_checkpoints_are_deleted_when_their_trial_ends_and_its_other_files_stay(
    place: StudyFixture, end: str
) -> None:
    coordinator = place.coordinator()
    assignment = assigned(coordinator)
    train(coordinator, assignment, until=1 if end == "prune" else None)
    for name in ("epoch-00000001-abc.pt", "epoch-00000002-def.pt", "attribution_maps.npz"):
        (assignment.folder / name).write_bytes(b"")
    if end == "fail":
        coordinator.tell_failure(assignment.key, "lost")
    else:
        coordinator.tell(assignment.key)
    left = sorted(path.name for path in assignment.folder.iterdir())
    assert left == ["attribution_maps.npz", "end.json", "reports.jsonl", "trial.json"]


def test_a_report_without_the_objective_is_kept_and_not_told(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    assignment = assigned(coordinator)
    coordinator.report(assignment.key, Report(epoch=0, metrics={"filter_cosine/mean": (0.1, 0.2)}))
    assert [r.epoch for r in coordinator.state.reports_of(assignment.key)] == [0]
    arm = assignment.key.arm
    assert list(stored_values(place, arm, "search")) == [{}]


def record(number: int, value: float | None, **params: ParamValue) -> TrialRecord:
    return TrialRecord(
        key=dataclasses.replace(CHALLENGER, number=number),
        state="FAIL" if value is None else "COMPLETE",
        params=params,
        value=value,
        reason=None,
        started_ms=0,
        finished_ms=0,
    )


def test_the_best_trial_follows_the_direction_and_the_earliest_of_equals_wins() -> None:
    records = [record(0, 0.5, k=0), record(1, 0.9, k=1), record(2, 0.9, k=2), record(3, None, k=3)]
    assert best_params(records, maximize=True) == {"k": 1}
    assert best_params(records, maximize=False) == {"k": 0}
    assert best_params(records[3:], maximize=True) is None


def test_an_objective_that_is_minimized_chooses_the_lowest(tmp_path: Path) -> None:
    place = StudyFixture.of(tmp_path, study_text(objective={"metric": "val/nll"}))
    coordinator = place.coordinator()
    while isinstance(step := coordinator.ask(), TrialAssignment):
        value = 1.0 - 0.1 * step.key.number
        coordinator.report(step.key, Report(epoch=3, metrics={"val/nll": (value, value)}))
        coordinator.tell(step.key)
    chosen = next(e for e in coordinator.state.records() if str(e.key) == "random/search/1")
    assert coordinator.state.best(place.spec.arm("random")) == chosen.params
