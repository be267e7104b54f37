"""Which trial comes next, and what becomes of its reports, on studies that train nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from search_spaces import ParamValue
from study.books import best_params
from study.conductor import Conductor
from study.errors import StoreError
from study.handout import Assignment, Done, Stop, Wait
from study.rows import trial_table
from study.spec import replica_seeds
from study.store.ends import write_end
from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.store.results import append_report
from study.store.transactions import add_trial, end_trial
from tests.study.simulated import (
    NOISE,
    OPTIMUM,
    PEAK,
    Place,
    Recorder,
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
def place(tmp_path: Path) -> Place:
    return Place.of(tmp_path, study_text())


def changed(place: Place, **changes: object) -> Place:
    """Give the same folder with another study file."""
    return Place.of(place.root, study_text(**changes))


def train(conductor: Conductor, assignment: Assignment, *, until: int | None = None) -> None:
    """Report a trial's evaluations, all or up to an epoch."""
    for report in simulated_reports(assignment.config):
        if until is None or report.epoch <= until:
            conductor.report(assignment.key, report)


def assigned(conductor: Conductor) -> Assignment:
    step = conductor.next()
    assert isinstance(step, Assignment)
    return step


def states(conductor: Conductor) -> dict[str, str]:
    return {str(entry.key): entry.state for entry in conductor.entries()}


def stored_values(place: Place, arm: str, phase: str) -> Iterator[dict[int, float]]:
    """Give what Optuna has of each trial of an arm: epoch to value."""
    study = optuna.load_study(study_name=f"tiny/{arm}/{phase}", storage=place.storage.database_url)
    for trial in study.trials:
        yield dict(trial.intermediate_values)


def entries_of(conductor: Conductor, arm: str, phase: str) -> list[Entry]:
    return [e for e in conductor.entries() if (e.key.arm, e.key.phase) == (arm, phase)]


def objectives(conductor: Conductor, key: TrialKey) -> dict[int, float]:
    """Give the mean objective of a trial's stored reports by epoch."""
    metric = "val/accuracy"
    stored = [r for r in conductor.reports_of(key) if metric in r.metrics]
    return {r.epoch: mean(r.metrics[metric]) for r in stored}


def assert_ledger_equals_result_files(place: Place) -> None:
    """Compare numbers, epochs, objectives and ends in the two halves of the truth."""
    conductor = place.books()
    epochs = place.spec.arms[0].training.epochs
    for arm in place.spec.arms:
        for phase in ("search", "final"):
            entries = entries_of(conductor, arm.name, phase)
            assert [e.key.number for e in entries] == list(range(len(entries)))
            for entry, stored in zip(entries, stored_values(place, arm.name, phase), strict=True):
                assert stored == objectives(conductor, entry.key)
                assert len(lines(place, entry.key)) == len(conductor.reports_of(entry.key))
                if entry.state == "COMPLETE":
                    assert entry.value == stored[epochs]


def test_two_hundred_trials_of_tpe_find_the_top_of_a_known_surface(tmp_path: Path) -> None:
    arms = [{"method": "challenger"}]
    place = Place.of(tmp_path, study_text(trials=200, startup_trials=10, sweep=[], arms=arms))
    conductor = place.conductor()
    simulate(conductor, place.surroundings)
    assert isinstance(conductor.next(), Done)
    found = states(place.conductor())
    assert len(found) == 201
    assert set(found.values()) == {"COMPLETE"}
    assert_ledger_equals_result_files(place)
    best = conductor.best(place.spec.arms[0])
    assert best is not None
    # As near as the noise of a mean over two replicas lets anybody see, and some.
    assert level(best) > PEAK - 6 * NOISE
    middle = {"top_k": 5.5, "n_features": 0.155, "alpha": 1.05, "beta": 1.05, "split": 0.5}
    assert level(best) > level(middle)
    assert set(best) == set(OPTIMUM)


def test_a_simulated_study_is_a_function_of_its_seed(tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        place = Place.of(tmp_path / name, study_text(trials=5, seed=seed))
        simulate(place.conductor(), place.surroundings)
        results.append(metrics_of(place.folder))
    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize("seed", range(3))
def test_reports_twice_late_and_out_of_order_are_counted_once(tmp_path: Path, seed: int) -> None:
    place = Place.of(tmp_path, study_text(trials=15, epochs=6, sweep=[1, 2, 3]))
    recorder = Recorder()
    conductor = place.conductor([recorder])
    scripted(seed)(conductor, place.surroundings)
    found = states(place.conductor())
    assert "RUNNING" not in found.values()
    assert len(recorder.reports) == len(set(recorder.reports))
    for entry in conductor.entries():
        number, is_search = entry.key.number, entry.key.phase == "search"
        fails, stops = is_search and number % 5 == 4, is_search and number % 7 == 6
        assert entry.state == ("FAIL" if fails else "PRUNED" if stops else "COMPLETE")
        assert entry.reason == ("scripted" if fails else None)
    ends = [name for state, name in recorder.events if state != "began"]
    assert sorted(ends) == sorted(found)
    assert_ledger_equals_result_files(place)


def test_searches_are_interleaved_and_base_fills_the_slots_before_other_finals(
    place: Place,
) -> None:
    recorder = Recorder()
    conductor = place.conductor([recorder])
    simulate(conductor, place.surroundings)
    assert [name for event, name in recorder.events if event == "began"] == [
        "random/search/0",
        "challenger/search/0",
        "random/search/1",
        "challenger/search/1",
        "base/final/0",
        "random/final/0",
        "challenger/final/0",
        "challenger/final/1",
        *(["challenger/final/2"] if conductor.best(place.spec.arms[2])["top_k"] > 2 else []),
    ]


def test_an_arm_that_is_behind_is_asked_first(place: Place) -> None:
    arms = study_file()["arms"]
    arms[1] = {"method": "random", "search": {"trials": 4}}
    conductor = changed(place, arms=arms).conductor()
    keys = [str(assigned(conductor).key) for _ in range(6)]
    assert keys == [
        "random/search/0",
        "challenger/search/0",
        "random/search/1",
        "random/search/2",
        "challenger/search/1",
        "random/search/3",
    ]


def test_finals_wait_for_the_whole_search_of_their_arm_alone(place: Place) -> None:
    conductor = place.conductor()
    search = [assigned(conductor) for _ in range(4)]
    base = assigned(conductor)
    assert str(base.key) == "base/final/0"
    assert isinstance(conductor.next(), Wait)
    for assignment in search:
        if assignment.key.arm == "random":
            assert isinstance(conductor.next(), Wait)
            train(conductor, assignment)
            conductor.finish(assignment.key)
    assert str(assigned(conductor).key) == "random/final/0"
    assert isinstance(conductor.next(), Wait)


def test_search_and_final_trials_share_no_seed_and_arms_share_all(place: Place) -> None:
    recorder = Recorder()
    seeds: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    conductor = place.conductor([recorder])
    while isinstance(step := conductor.next(), Assignment):
        seeds.setdefault((step.key.arm, step.key.phase), set()).add(step.config.seeds)
        assert step.config.is_final == (step.key.phase == "final")
        train(conductor, step)
        conductor.finish(step.key)
    search, final = (replica_seeds(place.spec.seed, phase, 2) for phase in ("search", "final"))
    assert not set(search) & set(final)
    assert {key: value for key, value in seeds.items() if key[1] == "search"} == {
        (arm, "search"): {search} for arm in ("random", "challenger")
    }
    assert {key: value for key, value in seeds.items() if key[1] == "final"} == {
        (arm, "final"): {final} for arm in ("base", "random", "challenger")
    }


def test_a_study_is_done_only_when_its_last_trial_has_ended(place: Place) -> None:
    place = changed(place, arms=[{"method": "base"}])
    conductor = place.conductor()
    assert conductor.has_work()
    assignment = assigned(conductor)
    assert isinstance(conductor.next(), Wait)
    assert conductor.has_work()
    train(conductor, assignment)
    conductor.finish(assignment.key)
    assert isinstance(conductor.next(), Done)
    assert not conductor.has_work()
    assert not place.conductor().has_work()


def test_no_more_trials_are_given_out_than_may_run_at_a_time(place: Place) -> None:
    conductor = changed(place, resources={"max_concurrent": 2}).conductor()
    first, _ = assigned(conductor), assigned(conductor)
    assert isinstance(conductor.next(), Wait)
    train(conductor, first)
    conductor.finish(first.key)
    third = assigned(conductor)
    assert isinstance(conductor.next(), Wait)
    conductor.fail(third.key, "lost")
    assert isinstance(conductor.next(), Assignment)


def test_an_executor_without_room_is_given_no_trial_and_still_hears_of_the_end(
    place: Place,
) -> None:
    conductor = changed(place, arms=[{"method": "base"}]).conductor()
    assert (conductor.n_training, conductor.n_open) == (0, 1)
    assert isinstance(conductor.next(at_most=0), Wait)
    first = assigned(conductor)
    assert (conductor.n_training, conductor.n_open) == (1, 0)
    assert isinstance(conductor.next(at_most=1), Wait)
    train(conductor, first)
    conductor.finish(first.key)
    assert (conductor.n_training, conductor.n_open) == (0, 0)
    assert isinstance(conductor.next(at_most=0), Done)
    conductor.stop()
    assert isinstance(conductor.next(at_most=0), Stop)


def test_the_smaller_of_two_limits_holds(place: Place) -> None:
    conductor = changed(place, resources={"max_concurrent": 2}).conductor()
    assigned(conductor)
    assert isinstance(conductor.next(at_most=1), Wait)
    assert isinstance(conductor.next(at_most=5), Assignment)
    assert isinstance(conductor.next(at_most=5), Wait)


def test_what_could_begin_is_what_is_given_out_until_something_ends(place: Place) -> None:
    left = place.conductor()
    for _ in range(2):
        assigned(left)
    # Two of the trials were left behind by another process.
    conductor = place.conductor()
    expected = conductor.n_open
    begun = []
    while isinstance(step := conductor.next(), Assignment):
        begun.append(step)
        assert conductor.n_open == expected - len(begun)
    assert len(begun) == expected > 2
    for step in begun:
        train(conductor, step)
        conductor.finish(step.key)
    # The searches have ended, and their sweeps and controls can begin.
    finals = conductor.n_open
    assert finals > 0
    simulate(conductor, place.surroundings)
    assert conductor.n_open == 0


def test_trials_that_a_process_left_behind_count_as_running_only_once_they_are_given_out(
    place: Place,
) -> None:
    before = place.conductor()
    for _ in range(3):
        assigned(before)
    conductor = changed(place, resources={"max_concurrent": 2}).conductor()
    assert [assigned(conductor).key.number for _ in range(2)] == [0, 1]
    assert isinstance(conductor.next(), Wait)


def test_the_chosen_point_is_not_trained_again_by_the_sweep(tmp_path: Path) -> None:
    sweep = list(range(1, 11))
    place = Place.of(tmp_path, study_text(sweep=sweep, arms=study_file(sweep=sweep)["arms"][2:]))
    conductor = place.conductor()
    simulate(conductor, place.surroundings)
    finals = [e for e in conductor.entries() if e.key.phase == "final"]
    best = conductor.best(place.spec.arms[0])
    assert best is not None
    assert dict(finals[0].params) == best
    assert sorted(e.params["top_k"] for e in finals) == sweep
    for entry in finals:
        assert {**entry.params, "top_k": best["top_k"]} == best


def test_an_unfinished_trial_is_given_out_again_under_its_number_with_its_point(
    place: Place,
) -> None:
    before = place.conductor()
    left = [assigned(before) for _ in range(3)]
    train(before, left[1], until=1)
    after = place.conductor()
    again = [assigned(after) for _ in range(3)]
    assert sorted(map(str, (a.key for a in again))) == sorted(map(str, (a.key for a in left)))
    by_key = {a.key: a for a in again}
    for assignment in left:
        assert by_key[assignment.key] == assignment
    assert [r.epoch for r in after.reports_of(left[1].key)] == [0, 1]
    # The rest of the study is what it would have been.
    for assignment in again:
        train(after, assignment)
        after.finish(assignment.key)
    simulate(after, place.surroundings)
    assert set(states(place.conductor()).values()) == {"COMPLETE"}
    assert_ledger_equals_result_files(place)


def test_a_trial_whose_last_report_is_stored_is_told_without_training(place: Place) -> None:
    before = place.conductor()
    assignment = assigned(before)
    train(before, assignment)
    assert before.config(next(before.entries())) == assignment.config
    recorder = Recorder()
    after = place.conductor([recorder])
    assert recorder.events == [("COMPLETE", str(assignment.key))]
    assert states(after)[str(assignment.key)] == "COMPLETE"
    assert assigned(after).key != assignment.key
    assert_ledger_equals_result_files(place)


def test_a_report_that_reached_the_file_alone_reaches_the_ledger_at_the_next_start(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    before = place.conductor()
    assignment = assigned(before)
    train(before, assignment, until=1)
    with monkeypatch.context() as patch:
        patch.setattr("study.store.ledger.Ledger.report", die)
        before.report(assignment.key, simulated_reports(assignment.config)[2])
        # Nobody waits for a report to be told; whoever does so next hears of it.
        with pytest.raises(Killed):
            before.settle()
    after = place.conductor()
    simulate(after, place.surroundings)
    assert_ledger_equals_result_files(place)


class Killed(BaseException):
    """Stands for SIGKILL."""


class Death:
    """Kills at a chosen write to the database or to a result file."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int | None) -> None:
        """Stand in the way of every write."""
        self.writes = 0
        self._at = at
        patch.setattr("study.store.ledger.add_trial", self._mortal(add_trial))
        patch.setattr("study.store.ledger.end_trial", self._mortal(end_trial))
        storage, name = optuna.storages.RDBStorage, "set_trial_intermediate_value"
        patch.setattr(storage, name, self._mortal(getattr(storage, name)))
        patch.setattr("study.conductor.append_report", self._mortal(append_report))
        patch.setattr("study.conductor.write_end", self._mortal(write_end))

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
        death = Death(patch, None)
        place = Place.of(tmp_path / "whole", study_text(**changes))
        simulate(place.conductor(), place.surroundings)
        expected = states(place.books())
    assert death.writes > 20
    for at in range(1, death.writes + 1):
        place = Place.of(tmp_path / str(at), study_text(**changes))
        with monkeypatch.context() as patch:
            Death(patch, at)
            with pytest.raises(Killed):
                simulate(place.conductor(), place.surroundings)
        conductor = place.conductor()
        simulate(conductor, place.surroundings)
        found = states(place.books())
        assert found.keys() >= {"challenger/search/0", "challenger/search/1", "challenger/final/0"}
        assert set(found.values()) == {"COMPLETE"}
        # A point drawn again may choose another K, so that the sweep is one longer or shorter.
        assert abs(len(found) - len(expected)) <= 1
        assert all(set(e.params) == set(OPTIMUM) for e in conductor.entries())
        assert_ledger_equals_result_files(place)


def test_an_arm_whose_search_found_nothing_has_no_final_and_the_study_ends(place: Place) -> None:
    conductor = place.conductor()
    while isinstance(step := conductor.next(), Assignment):
        if step.key.arm == "random":
            conductor.fail(step.key, "diverged")
        else:
            train(conductor, step)
            conductor.finish(step.key)
    assert isinstance(step, Done)
    assert not conductor.has_work()
    assert conductor.best(place.spec.arm("random")) is None
    finals = {e.key.arm for e in conductor.entries() if e.key.phase == "final"}
    assert finals == {"base", "challenger"}


def test_a_study_whose_trials_all_failed_ends(place: Place) -> None:
    conductor = place.conductor()
    while isinstance(step := conductor.next(), Assignment):
        conductor.fail(step.key, "diverged")
    assert states(conductor) == {
        **{f"{arm}/search/{i}": "FAIL" for arm in ("random", "challenger") for i in range(2)},
        "base/final/0": "FAIL",
    }


def test_a_trial_stopped_before_its_budget_is_pruned_and_never_chosen(place: Place) -> None:
    conductor = place.conductor()
    while isinstance(step := conductor.next(), Assignment):
        stops = step.key.phase == "search" and step.key.number == 0
        train(conductor, step, until=2 if stops else None)
        conductor.finish(step.key)
    assert states(conductor)["challenger/search/0"] == "PRUNED"
    entry = next(e for e in conductor.entries() if str(e.key) == "challenger/search/1")
    assert conductor.best(place.spec.arm("challenger")) == entry.params


def test_more_trials_another_sweep_and_a_new_arm_continue_a_finished_study(place: Place) -> None:
    simulate(place.conductor(), place.surroundings)
    before = metrics_of(place.folder)
    arms = [
        *study_file(sweep=[1, 2, 3])["arms"],
        {"method": {"name": "random", "clip": [0.0, 1.0]}, "name": "clipped"},
    ]
    larger = changed(place, trials=4, arms=arms)
    conductor = larger.conductor()
    assert conductor.has_work()
    simulate(conductor, larger.surroundings)
    after = metrics_of(place.folder)
    assert {name: after[name] for name in before} == before
    counts = {a.name: len(entries_of(conductor, a.name, "search")) for a in larger.spec.arms}
    assert counts == {"base": 0, "random": 4, "challenger": 4, "clipped": 4}
    best = conductor.best(larger.spec.arm("challenger"))
    assert best is not None
    finals = [dict(e.params) for e in entries_of(conductor, "challenger", "final")]
    for value in (1, 2, 3, best["top_k"]):
        assert finals.count({**best, "top_k": value}) == 1
    assert_ledger_equals_result_files(larger)
    assert isinstance(larger.conductor().next(), Done)


def test_more_final_replicas_train_the_final_points_anew_and_leave_the_search_as_it_is(
    place: Place,
) -> None:
    simulate(place.conductor(), place.surroundings)
    before = metrics_of(place.folder)
    defaults = study_file()["defaults"]
    larger = changed(place, defaults={**defaults, "replicas": {"search": 2, "final": 5}})
    conductor = larger.conductor()
    simulate(conductor, larger.surroundings)
    after = metrics_of(place.folder)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[1] for name in set(after) - set(before)} == {"final"}
    table = trial_table(larger.spec, larger.folder, conductor.books)
    for arm in larger.spec.arms:
        finals = table.select(arm.name, "final")
        assert {len(row.seeds) for row in finals} == {5}
        assert {len(row.last("val/accuracy") or ()) for row in finals} == {5}
        twice = [row for row in table.rows if row.arm == arm.name and row.phase == "final"]
        assert len(twice) == 2 * len(finals)
        assert [row.seeds for row in twice[: len(finals)]] == [finals[0].seeds[:2]] * len(finals)
        assert {len(row.seeds) for row in table.select(arm.name, "search")} <= {2}
    assert isinstance(larger.conductor().next(), Done)


def test_a_trial_that_was_begun_with_fewer_replicas_goes_on_with_them(place: Place) -> None:
    place = changed(place, arms=[{"method": "base"}])
    left = assigned(place.conductor())
    more = changed(place, arms=[{"method": "base", "replicas": {"final": 5}}])
    conductor = more.conductor()
    assert assigned(conductor).config == left.config
    assert len(assigned(conductor).config.seeds) == 5


def test_a_study_with_fewer_trials_than_there_are_asks_for_none(place: Place) -> None:
    larger = changed(place, trials=4)
    simulate(larger.conductor(), larger.surroundings)
    conductor = place.conductor()
    assert isinstance(conductor.next(), Done)


def test_a_database_that_does_not_know_the_trials_is_refused_before_anything_is_asked(
    place: Place,
) -> None:
    conductor = place.conductor()
    for _ in range(2):
        train(conductor, assigned(conductor), until=1)
    other = Place.of(place.root, study_text(), f"sqlite:///{place.root}/other.db")
    with pytest.raises(StoreError) as refused:
        other.conductor()
    assert str(refused.value) == (
        f"the Optuna database must know every trial of {place.folder.path}, but has not heard of "
        "2 of them, trials/challenger/search/00000 first; name the database that the study was "
        "run with by --database or CHALLENGER_DATABASE, or put it back where it was."
    )
    assert place.conductor().has_work()


def test_one_that_only_looks_changes_nothing_while_another_runs(place: Place) -> None:
    recorder = Recorder()
    running = place.conductor()
    finished, halfway = assigned(running), assigned(running)
    train(running, finished)
    train(running, halfway, until=1)
    files = {path: path.read_bytes() for path in place.folder.path.rglob("*.jsonl")}
    reader = place.books()
    assert set(states(reader).values()) == {"RUNNING"}
    assert recorder == Recorder()
    assert {path: path.read_bytes() for path in place.folder.path.rglob("*.jsonl")} == files
    running.finish(finished.key)
    train(running, halfway)
    running.finish(halfway.key)
    assert set(states(place.books()).values()) == {"COMPLETE"}


@pytest.mark.parametrize("end", ["finish", "prune", "fail"])
def test_checkpoints_are_deleted_when_their_trial_ends_and_its_other_files_stay(
    place: Place, end: str
) -> None:
    conductor = place.conductor()
    assignment = assigned(conductor)
    train(conductor, assignment, until=1 if end == "prune" else None)
    for name in ("epoch-00000001-abc.pt", "epoch-00000002-def.pt", "attribution_maps.npz"):
        (assignment.folder / name).write_bytes(b"")
    if end == "fail":
        conductor.fail(assignment.key, "lost")
    else:
        conductor.finish(assignment.key)
    left = sorted(path.name for path in assignment.folder.iterdir())
    assert left == ["attribution_maps.npz", "end.json", "reports.jsonl"]


def test_a_report_without_the_objective_is_kept_and_not_told(place: Place) -> None:
    conductor = place.conductor()
    assignment = assigned(conductor)
    conductor.report(assignment.key, Report(epoch=0, metrics={"filter_cosine/mean": (0.1, 0.2)}))
    assert [r.epoch for r in conductor.reports_of(assignment.key)] == [0]
    arm = assignment.key.arm
    assert list(stored_values(place, arm, "search")) == [{}]


def entry(number: int, value: float | None, **params: ParamValue) -> Entry:
    return Entry(
        key=dataclasses.replace(CHALLENGER, number=number),
        state="FAIL" if value is None else "COMPLETE",
        params=params,
        value=value,
        reason=None,
        started_ms=0,
        finished_ms=0,
    )


def test_the_best_trial_follows_the_direction_and_the_earliest_of_equals_wins() -> None:
    entries = [entry(0, 0.5, k=0), entry(1, 0.9, k=1), entry(2, 0.9, k=2), entry(3, None, k=3)]
    assert best_params(entries, maximise=True) == {"k": 1}
    assert best_params(entries, maximise=False) == {"k": 0}
    assert best_params(entries[3:], maximise=True) is None


def test_an_objective_that_is_minimised_chooses_the_lowest(tmp_path: Path) -> None:
    place = Place.of(tmp_path, study_text(objective={"metric": "val/nll"}))
    conductor = place.conductor()
    while isinstance(step := conductor.next(), Assignment):
        value = 1.0 - 0.1 * step.key.number
        conductor.report(step.key, Report(epoch=3, metrics={"val/nll": (value, value)}))
        conductor.finish(step.key)
    chosen = next(e for e in conductor.entries() if str(e.key) == "random/search/1")
    assert conductor.best(place.spec.arm("random")) == chosen.params
