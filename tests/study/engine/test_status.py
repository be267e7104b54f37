"""The status of a study, from its trial store and manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study.engine.status import study_status, trials_per_hour
from study.records.errors import SpecError, StoreError
from study.storage.layout import Manifest, StorageRoot, TrialKey, write_manifest
from study.storage.lease import lease
from study.storage.trial_store import TrialRecord
from tests.support.simulated import (
    StudyFixture,
    assigned,
    complete,
    simulate,
    study_text,
)


@pytest.fixture
def place(tmp_path: Path) -> StudyFixture:
    place = StudyFixture.of(tmp_path, study_text())
    manifest = Manifest(
        name="tiny",
        metric="val/accuracy",
        direction="maximize",
        search={"base": 0, "random": 2, "challenger": 2},
        final={"base": 1, "random": 1, "challenger": 2},
        study="",
    )
    write_manifest(place.folder.manifest, manifest)
    return place


def test_a_database_that_is_not_there_is_an_error_and_is_not_made(place: StudyFixture) -> None:
    path = place.folder.path / "typo.db"
    with pytest.raises(StoreError) as caught:
        study_status(place.folder, f"sqlite:///{path}")
    assert str(caught.value) == (
        f"there is no Optuna database {path}; name the one that the study was run with, by "
        "--database or CHALLENGER_DATABASE."
    )
    assert not path.exists()


def test_trials_are_counted_by_state_while_a_study_runs(place: StudyFixture) -> None:
    coordinator = place.coordinator()
    whole, failed, _running = (assigned(coordinator) for _ in range(3))
    complete(coordinator, whole)
    coordinator.tell_failure(failed.key, "no memory")
    with lease(place.folder, place.storage.database_url, print):
        status = study_status(place.folder, place.storage.database_url)
    assert status.activity == "running"
    random, challenger = status.phases[:2]
    assert (random.arm, random.phase, random.total, random.asked) == ("random", "search", 2, 2)
    assert (random.complete, random.running, random.failed) == (1, 1, 0)
    assert (challenger.complete, challenger.running, challenger.failed) == (0, 0, 1)
    assert random.best == next(coordinator.state.records()).value
    assert challenger.best is None
    assert status.failures == ("challenger/search/0: no memory",)
    assert [(counts.arm, counts.phase) for counts in status.phases] == [
        ("random", "search"),
        ("challenger", "search"),
        ("base", "final"),
        ("random", "final"),
        ("challenger", "final"),
    ]


def test_a_study_that_nobody_runs_is_stopped_until_all_its_trials_have_ended(
    place: StudyFixture,
) -> None:
    coordinator = place.coordinator()
    assigned(coordinator)
    status = study_status(place.folder, place.storage.database_url)
    assert (status.activity, status.seconds_left) == ("stopped", None)
    simulate(place.coordinator(), place.context)
    status = study_status(place.folder, place.storage.database_url)
    assert status.activity == "finished"
    assert all(counts.asked == counts.complete == counts.total for counts in status.phases)


def test_a_study_that_does_not_exist_is_named_with_those_that_do(place: StudyFixture) -> None:
    with pytest.raises(SpecError) as refused:
        study_status(StorageRoot(root=place.root).study("tinny"), place.storage.database_url)
    assert str(refused.value) == f"there is no study 'tinny' in {place.root}; known: tiny."


def ended(*finished_ms: int | None) -> list[TrialRecord]:
    key = TrialKey(arm="a", phase="search", number=0)
    return [
        TrialRecord(
            key=key,
            state="COMPLETE" if time is not None else "RUNNING",
            params={},
            value=0.5,
            reason=None,
            started_ms=0,
            finished_ms=time,
        )
        for time in finished_ms
    ]


def test_the_rate_counts_from_the_first_end_to_the_last() -> None:
    assert trials_per_hour(ended(0, None, 1_800_000, 3_600_000)) == pytest.approx(2)
    assert trials_per_hour(ended()) is None
    assert trials_per_hour(ended(5, None)) is None
    assert trials_per_hour(ended(5, 5)) is None


def test_a_pause_or_a_clock_that_was_set_between_two_ends_does_not_change_the_rate() -> None:
    hour, day = 3_600_000, 86_400_000
    trials = [
        replace(record, started_ms=(record.finished_ms or 0) - hour)
        for record in ended(hour, 2 * hour, 2 * hour + day, 3 * hour + day)
    ]
    assert trials_per_hour(trials) == pytest.approx(1)
