"""The folders of a study and its manifest."""

from __future__ import annotations

import pytest

from study.records.errors import SpecError, StoreError
from study.storage.json_record import checksum
from study.storage.layout import (
    RESERVED_NAMES,
    Manifest,
    StorageRoot,
    TrialKey,
    read_manifest,
    write_manifest,
)

KEY = TrialKey(arm="challenger", phase="final", number=7)


def test_a_study_has_one_folder_and_each_trial_one_within(tmp_path):
    folder = StorageRoot(root=tmp_path).study("demo")
    assert folder.path == tmp_path / "demo"
    assert folder.trial(KEY) == tmp_path / "demo" / "trials" / "challenger" / "final" / "00007"
    assert folder.reports(KEY) == folder.trial(KEY) / "reports.jsonl"


def test_no_study_may_have_the_name_of_a_shared_file(tmp_path):
    storage = StorageRoot(root=tmp_path)
    shared = {
        storage.cache,
        storage.database,
        storage.tracking_database,
        storage.artifacts,
        storage.service,
    }
    databases = (storage.database, storage.tracking_database)
    sqlite = {f"{path.name}-{part}" for path in databases for part in ("journal", "shm", "wal")}
    assert {path.name for path in shared} | sqlite == RESERVED_NAMES
    assert all(path.parent == tmp_path for path in shared)
    assert storage.database_url == f"sqlite:///{tmp_path}/optuna.db"


def test_only_started_studies_are_listed(tmp_path):
    storage = StorageRoot(root=tmp_path)
    assert storage.studies() == ()
    for name in ("b", "a", "cache"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        storage.study(name).spec.write_text("name: x", encoding="utf-8")
    assert storage.studies() == ("a", "b")
    assert StorageRoot(root=tmp_path / "missing").studies() == ()


def test_preparing_creates_the_root_and_leaves_nothing_in_it(tmp_path):
    storage = StorageRoot(root=tmp_path / "a" / "b")
    storage.prepare()
    storage.prepare()
    assert list(storage.root.iterdir()) == []


def test_a_root_that_cannot_be_written_is_refused_with_what_to_do(tmp_path):
    root = tmp_path / "file"
    root.write_text("", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        StorageRoot(root=root).prepare()
    assert str(caught.value) == (
        f"{root} must be a folder that can be written, but: Not a directory; name another with "
        "--storage."
    )


MANIFEST = Manifest(
    name="demo",
    metric="val/nll",
    direction="minimize",
    search={"base": 0, "challenger": 6},
    final={"base": 1, "challenger": 10},
    study=checksum(b"name: demo"),
)


def test_a_manifest_is_read_as_written(tmp_path):
    path = tmp_path / "manifest.json"
    write_manifest(path, MANIFEST)
    assert read_manifest(path) == MANIFEST


def test_an_unknown_study_is_refused_with_the_names_there_are(tmp_path):
    for name in ("second", "first"):
        write_manifest(tmp_path / name / "manifest.json", MANIFEST)
    (tmp_path / "cache").mkdir()
    with pytest.raises(SpecError) as caught:
        read_manifest(tmp_path / "third" / "manifest.json")
    assert str(caught.value) == (f"there is no study 'third' in {tmp_path}; known: first, second.")
