"""The status of a study, from its ledger and manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.conductor import Conductor
from study.errors import SpecError, StoreError
from study.files import write_whole
from study.handout import Assignment
from study.status import study_status, trials_per_hour
from study.store.folder import Storage, TrialKey
from study.store.lease import lease
from study.store.ledger import Entry
from study.store.manifest import Manifest
from tests.study.simulated import Place, simulate, simulated_reports, study_text


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place.of(tmp_path, study_text())
    manifest = Manifest(
        name="tiny",
        metric="val/accuracy",
        direction="maximise",
        search={"base": 0, "random": 2, "challenger": 2},
        final={"base": 1, "random": 1, "challenger": 2},
    )
    write_whole(place.folder.manifest, manifest.encode())
    return place


def step_of(conductor: Conductor) -> Assignment:
    step = conductor.next()
    assert isinstance(step, Assignment)
    return step


def test_a_database_that_is_not_there_is_an_error_and_is_not_made(place: Place) -> None:
    path = place.folder.path / "typo.db"
    with pytest.raises(StoreError) as caught:
        study_status(place.folder, f"sqlite:///{path}")
    assert str(caught.value) == (
        f"there is no Optuna database {path}; name the one that the study was run with, by "
        "--database or CHALLENGER_DATABASE."
    )
    assert not path.exists()


def test_trials_are_counted_by_state_while_a_study_runs(place: Place) -> None:
    conductor = place.conductor()
    complete, failed, _running = (step_of(conductor) for _ in range(3))
    for report in simulated_reports(complete.config):
        conductor.report(complete.key, report)
    conductor.finish(complete.key)
    conductor.fail(failed.key, "no memory")
    with lease(place.folder, place.storage.database_url, print):
        status = study_status(place.folder, place.storage.database_url)
    assert status.activity == "running"
    random, challenger = status.lanes[:2]
    assert (random.arm, random.phase, random.total, random.asked) == ("random", "search", 2, 2)
    assert (random.complete, random.running, random.failed) == (1, 1, 0)
    assert (challenger.complete, challenger.running, challenger.failed) == (0, 0, 1)
    assert random.best == next(conductor.entries()).value
    assert challenger.best is None
    assert status.failures == ("challenger/search/0: no memory",)
    assert [(lane.arm, lane.phase) for lane in status.lanes] == [
        ("random", "search"),
        ("challenger", "search"),
        ("base", "final"),
        ("random", "final"),
        ("challenger", "final"),
    ]


def test_a_study_that_nobody_runs_is_stopped_until_all_its_trials_have_ended(
    place: Place,
) -> None:
    conductor = place.conductor()
    step_of(conductor)
    status = study_status(place.folder, place.storage.database_url)
    assert (status.activity, status.seconds_left) == ("stopped", None)
    simulate(place.conductor(), place.surroundings)
    status = study_status(place.folder, place.storage.database_url)
    assert status.activity == "finished"
    assert all(lane.asked == lane.complete == lane.total for lane in status.lanes)


def test_a_study_that_does_not_exist_is_named_with_those_that_do(place: Place) -> None:
    with pytest.raises(SpecError) as refused:
        study_status(Storage(root=place.root).study("tinny"), place.storage.database_url)
    assert str(refused.value) == f"there is no study 'tinny' in {place.root}; known: tiny."


def ended(*finished_ms: int | None) -> list[Entry]:
    key = TrialKey(arm="a", phase="search", number=0)
    return [
        Entry(
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
