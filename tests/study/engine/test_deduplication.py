"""A duplicate of another trial is not trained."""

from __future__ import annotations

from pathlib import Path

import yaml

from study.engine.coordinator import TrialCoordinator
from study.engine.deduplication import DuplicateTrials
from study.engine.protocol import TrialAssignment
from study.records.errors import StoreError
from study.storage.layout import TrialKey
from tests.support.simulated import (
    RecordingCallback,
    StudyFixture,
    assigned,
    complete,
    metrics_of,
    simulated_reports,
    study_file,
)

MAPS = "attribution_maps.npz"


def place(root: Path, arms: list[dict] | None = None, **changes: object) -> StudyFixture:
    """Return a study with a dimension of two values, for eight search trials."""
    settings = {"trials": 8, "sampler": "random", "sweep": [], **changes}
    file = study_file(**settings)
    held = {"n_features": 0.1, "alpha": 1.0, "beta": 1.0, "split": 0.5}
    file["defaults"]["search"]["space"] = {"top_k": {"low": 1, "high": 2}, **held}
    file["arms"] = arms or [{"method": "challenger"}]
    return StudyFixture.of(root, yaml.safe_dump(file))


def train_all(coordinator: TrialCoordinator) -> list[TrialAssignment]:
    trained = []
    while isinstance(assignment := coordinator.ask(), TrialAssignment):
        trained.append(assignment)
        (assignment.folder / MAPS).write_text(str(assignment.key))
        complete(coordinator, assignment)
    return trained


def search_trials(trained: list[TrialAssignment]) -> list[TrialAssignment]:
    return [each for each in trained if each.key.phase == "search"]


def test_every_point_is_trained_once_and_all_trials_have_its_results(tmp_path):
    study, recorder = place(tmp_path), RecordingCallback()
    coordinator = study.coordinator([recorder])
    trained = search_trials(train_all(coordinator))
    assert sorted(each.config.method.top_k for each in trained) == [1, 2]
    records = [e for e in coordinator.state.records() if e.key.phase == "search"]
    assert [e.state for e in records] == ["COMPLETE"] * 8
    found = metrics_of(study.folder)
    for record in records:
        first = next(
            each for each in trained if each.config.method.top_k == record.params["top_k"]
        )
        same = found[f"{first.key.arm}/search/{first.key.number:05d}"]
        assert found[f"{record.key.arm}/search/{record.key.number:05d}"] == same
        assert record.value == next(e.value for e in records if e.key == first.key)
        assert (study.folder.trial(record.key) / MAPS).read_text() == str(first.key)
    # Callbacks are called as for a trial that was trained.
    assert [kind for kind, key in recorder.events if "/search/" in key] == [
        "began",
        "COMPLETE",
    ] * 8
    # The trial store has them as complete, too.
    assert [e.value for e in study.state().records() if e.key.phase == "search"] == [
        e.value for e in records
    ]


def test_points_of_an_earlier_run_are_not_trained_again(tmp_path):
    train_all(place(tmp_path, trials=4).coordinator())
    assert search_trials(train_all(place(tmp_path, trials=12).coordinator())) == []


def test_arms_that_share_a_point_train_it_once(tmp_path):
    arms = [{"method": "base", "name": name} for name in ("one", "other")]
    coordinator = place(tmp_path, arms).coordinator()
    assert [str(each.key) for each in train_all(coordinator)] == ["one/final/0"]
    assert {str(e.key): e.state for e in coordinator.state.records()} == {
        "one/final/0": "COMPLETE",
        "other/final/0": "COMPLETE",
    }


def test_equal_params_of_other_settings_are_trained(tmp_path):
    arms = [
        {"method": "base", "name": "one"},
        {"method": "base", "name": "other", "training": {"epochs": 4}},
    ]
    assert len(train_all(place(tmp_path, arms).coordinator())) == 2


def test_a_failed_trial_is_no_duplicate(tmp_path):
    coordinator = place(tmp_path, trials=8).coordinator()
    failed = []
    while isinstance(assignment := coordinator.ask(), TrialAssignment):
        failed.append(assignment.key)
        coordinator.tell_failure(assignment.key, "scripted")
    assert failed == [TrialKey(arm="challenger", phase="search", number=n) for n in range(8)]


def test_an_interrupted_copy_is_finished_by_the_next_run(tmp_path, monkeypatch):
    (first,) = search_trials(train_all(place(tmp_path, trials=1).coordinator()))
    longer = place(tmp_path, trials=12)
    with monkeypatch.context() as patch:
        # The state after a driver was killed between creation and copy.
        patch.setattr(DuplicateTrials, "find", lambda *_: None)
        coordinator = longer.coordinator()
        step = coordinator.ask()
        while isinstance(step, TrialAssignment) and step.config != first.config:
            step = assigned(coordinator)
        coordinator.report(step.key, simulated_reports(step.config)[0])
    again = longer.coordinator()
    assert step.key not in [each.key for each in train_all(again)]
    assert again.state.record(step.key).state == "COMPLETE"
    found = metrics_of(longer.folder)
    same = [name for name, reports in found.items() if reports == found["challenger/search/00000"]]
    assert f"challenger/search/{step.key.number:05d}" in same


def test_a_duplicate_whose_files_cannot_be_copied_has_not_ended(tmp_path, monkeypatch):
    train_all(place(tmp_path, trials=1).coordinator())
    longer = place(tmp_path, trials=12)
    coordinator = longer.coordinator()

    def full(*_: Path) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("study.engine.coordinator.copy_files", full)
        train_all(coordinator)
    assert str(coordinator.stop_error) == "no space left"
    (left,) = [e.key for e in longer.state().records() if e.state == "RUNNING"]
    again = longer.coordinator()
    train_all(again)
    assert again.state.record(left).state == "COMPLETE"
    assert (longer.folder.trial(left) / MAPS).exists()
