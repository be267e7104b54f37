"""A trial that would only repeat another is not trained."""

from __future__ import annotations

from pathlib import Path

import yaml

from study.conductor import Conductor
from study.errors import StoreError
from study.handout import Assignment
from study.store.folder import TrialKey
from study.twins import Twins
from tests.study.simulated import (
    Place,
    Recorder,
    metrics_of,
    simulated_reports,
    study_file,
)

MAPS = "attribution_maps.npz"


def place(root: Path, arms: list[dict] | None = None, **changes: object) -> Place:
    """Give a study whose axis has two values, for eight search trials."""
    settings = {"trials": 8, "sampler": "random", "sweep": [], **changes}
    file = study_file(**settings)
    held = {"n_features": 0.1, "alpha": 1.0, "beta": 1.0, "split": 0.5}
    file["defaults"]["search"]["space"] = {"top_k": {"low": 1, "high": 2}, **held}
    file["arms"] = arms or [{"method": "challenger"}]
    return Place.of(root, yaml.safe_dump(file))


def train_all(conductor: Conductor) -> list[Assignment]:
    trained = []
    while isinstance(assignment := conductor.next(), Assignment):
        trained.append(assignment)
        (assignment.folder / MAPS).write_text(str(assignment.key))
        for report in simulated_reports(assignment.config):
            conductor.report(assignment.key, report)
        conductor.finish(assignment.key)
    return trained


def search_trials(trained: list[Assignment]) -> list[Assignment]:
    return [each for each in trained if each.key.phase == "search"]


def test_every_point_is_trained_once_and_all_trials_have_its_results(tmp_path):
    study, recorder = place(tmp_path), Recorder()
    conductor = study.conductor([recorder])
    trained = search_trials(train_all(conductor))
    assert sorted(each.config.method.top_k for each in trained) == [1, 2]
    entries = [e for e in conductor.entries() if e.key.phase == "search"]
    assert [e.state for e in entries] == ["COMPLETE"] * 8
    found = metrics_of(study.folder)
    for entry in entries:
        first = next(each for each in trained if each.config.method.top_k == entry.params["top_k"])
        same = found[f"{first.key.arm}/search/{first.key.number:05d}"]
        assert found[f"{entry.key.arm}/search/{entry.key.number:05d}"] == same
        assert entry.value == next(e.value for e in entries if e.key == first.key)
        assert (study.folder.trial(entry.key) / MAPS).read_text() == str(first.key)
    # Listeners hear of each as of a trial that was trained.
    assert [kind for kind, key in recorder.events if "/search/" in key] == [
        "began",
        "COMPLETE",
    ] * 8
    # The ledger knows them as complete, too.
    assert [e.value for e in study.books().entries() if e.key.phase == "search"] == [
        e.value for e in entries
    ]


def test_what_was_trained_by_an_earlier_run_is_not_trained_again(tmp_path):
    train_all(place(tmp_path, trials=4).conductor())
    assert search_trials(train_all(place(tmp_path, trials=12).conductor())) == []


def test_arms_that_meet_in_a_point_train_it_once(tmp_path):
    arms = [{"method": "base", "name": name} for name in ("one", "other")]
    conductor = place(tmp_path, arms).conductor()
    assert [str(each.key) for each in train_all(conductor)] == ["one/final/0"]
    assert {str(e.key): e.state for e in conductor.entries()} == {
        "one/final/0": "COMPLETE",
        "other/final/0": "COMPLETE",
    }


def test_equal_params_of_other_settings_are_trained(tmp_path):
    arms = [
        {"method": "base", "name": "one"},
        {"method": "base", "name": "other", "training": {"epochs": 4}},
    ]
    assert len(train_all(place(tmp_path, arms).conductor())) == 2


def test_a_trial_that_failed_is_no_twin(tmp_path):
    conductor = place(tmp_path, trials=8).conductor()
    failed = []
    while isinstance(assignment := conductor.next(), Assignment):
        failed.append(assignment.key)
        conductor.fail(assignment.key, "scripted")
    assert failed == [TrialKey(arm="challenger", phase="search", number=n) for n in range(8)]


def test_a_repetition_that_was_cut_off_is_finished_by_the_next_run(tmp_path, monkeypatch):
    (first,) = search_trials(train_all(place(tmp_path, trials=1).conductor()))
    longer = place(tmp_path, trials=12)
    with monkeypatch.context() as patch:
        # As a driver leaves it that was killed between asking and copying.
        patch.setattr(Twins, "of", lambda *_: None)
        conductor = longer.conductor()
        step = conductor.next()
        while isinstance(step, Assignment) and step.config != first.config:
            step = conductor.next()
        assert isinstance(step, Assignment)
        conductor.report(step.key, simulated_reports(step.config)[0])
    again = longer.conductor()
    assert step.key not in [each.key for each in train_all(again)]
    assert again.books.entry(step.key).state == "COMPLETE"
    found = metrics_of(longer.folder)
    same = [name for name, reports in found.items() if reports == found["challenger/search/00000"]]
    assert f"challenger/search/{step.key.number:05d}" in same


def test_a_repetition_whose_files_cannot_be_copied_has_not_ended(tmp_path, monkeypatch):
    train_all(place(tmp_path, trials=1).conductor())
    longer = place(tmp_path, trials=12)
    conductor = longer.conductor()

    def full(*_: Path) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("study.conductor.copy_maps", full)
        train_all(conductor)
    assert str(conductor.stop_error) == "no space left"
    (left,) = [e.key for e in longer.books().entries() if e.state == "RUNNING"]
    again = longer.conductor()
    train_all(again)
    assert again.books.entry(left).state == "COMPLETE"
    assert (longer.folder.trial(left) / MAPS).exists()
