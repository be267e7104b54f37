"""Deletion of a study: folder, rows and experiment together, and of that study alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.config.run_options import RunOptions
from study.engine.deletion import delete_study
from study.records.errors import BusyError, SpecError, TrackingError
from study.storage.lease import lease
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.study_identity import ensure_identity
from study.tracking.tracking_uri import TrackingUri
from tests.support.simulated import StudyFixture, simulate, study_text


def query(database: Path, statement: str) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(statement)]


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    """Return a storage with the studies ``tiny`` and ``tiny-2``, finished."""
    for name in ("tiny", "tiny-2"):
        place = StudyFixture.of(tmp_path / "studies", study_text(name=name, sweep=[]))
        coordinator = place.coordinator()
        simulate(coordinator, place.context)
        assert coordinator.flush()
    return RunOptions(storage=place.storage)


@pytest.mark.service
def test_a_study_is_deleted_with_its_rows_and_its_experiment_and_no_other_is(
    options: RunOptions,
) -> None:
    storage = options.storage
    address = TrackingUri.parse(options.tracking)
    for name in ("tiny", "tiny-2"):
        MlflowMirror(address=address, experiment=name, artifacts=storage.artifacts).connect()
    assert delete_study("tiny", options) == (
        "the experiment 'tiny' in MLflow",
        "the trials of 'tiny' in the Optuna database",
        str(storage.root / "tiny"),
    )
    assert storage.studies() == ()
    assert not (storage.root / "tiny").exists()
    assert (storage.root / "tiny-2" / "trials").exists()
    studies = query(storage.database, "SELECT study_name FROM studies")
    assert {name.partition("/")[0] for name in studies} == {"tiny-2"}
    assert query(storage.database, "SELECT count(*) FROM challenger_lease") == [0]
    names = query(storage.tracking_database, "SELECT name FROM experiments")
    assert sorted(names) == ["Default", "tiny-2"]
    with pytest.raises(SpecError, match="there is no study 'tiny' in "):
        delete_study("tiny", options)
    # The name is free again.
    place = StudyFixture.of(storage.root, study_text(sweep=[]))
    simulate(place.coordinator(), place.context)


def test_what_is_left_of_a_study_without_a_folder_is_deleted(options: RunOptions) -> None:
    (options.storage.root / "tiny").rename(options.storage.root.parent / "away")
    assert delete_study("tiny", options) == ("the trials of 'tiny' in the Optuna database",)


@pytest.mark.parametrize(
    "name", ["..", "../studies/tiny", "cache", "mlflow-artifacts", "", "tinny"]
)
def test_a_name_that_is_no_study_deletes_nothing(options: RunOptions, name: str) -> None:
    options.storage.cache.mkdir()
    before = sorted(options.storage.root.rglob("*"))
    with pytest.raises(SpecError):
        delete_study(name, options)
    after = sorted(options.storage.root.rglob("*"))
    assert [p for p in before if p not in after and not p.name.endswith(("-shm", "-wal"))] == []


def test_a_study_that_runs_and_one_whose_mlflow_is_away_are_left(options: RunOptions) -> None:
    folder = options.storage.study("tiny")
    with lease(folder, options.database_url, print), pytest.raises(BusyError):
        delete_study("tiny", options)
    ensure_identity(folder.path)
    elsewhere = RunOptions(storage=options.storage, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="must delete the experiment 'tiny', but: "):
        delete_study("tiny", elsewhere)
    assert (folder.path / "trials").exists()
    assert "tiny/random/search" in query(
        options.storage.database, "SELECT study_name FROM studies"
    )
