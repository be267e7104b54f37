"""Where a study keeps what."""

from __future__ import annotations

import pytest

from study.errors import StoreError
from study.store.folder import RESERVED_NAMES, Storage, TrialKey

KEY = TrialKey(arm="challenger", phase="final", number=7)


def test_a_trial_is_named_by_arm_phase_and_number():
    assert str(KEY) == "challenger/final/7"


def test_a_study_has_one_folder_and_each_trial_one_within(tmp_path):
    folder = Storage(root=tmp_path).study("demo")
    assert folder.path == tmp_path / "demo"
    assert folder.trial(KEY) == tmp_path / "demo" / "trials" / "challenger" / "final" / "00007"
    assert folder.reports(KEY) == folder.trial(KEY) / "reports.jsonl"


def test_what_a_study_keeps_lies_in_its_folder_under_different_names(tmp_path):
    folder = Storage(root=tmp_path).study("demo")
    parts = [
        folder.spec,
        folder.manifest,
        folder.sweeps,
        folder.ray,
        folder.lock,
        folder.outbox,
        folder.report,
        folder.logs,
        folder.path / "trials",
    ]
    assert all(part.parent == folder.path for part in parts)
    assert len(set(parts)) == len(parts)


def test_no_study_may_be_called_like_what_all_studies_share(tmp_path):
    storage = Storage(root=tmp_path)
    shared = {
        storage.cache,
        storage.database,
        storage.tracking_database,
        storage.artifacts,
        storage.service,
    }
    assert {path.name for path in shared} == RESERVED_NAMES
    assert all(path.parent == tmp_path for path in shared)
    assert storage.database_url == f"sqlite:///{tmp_path}/optuna.db"


def test_studies_are_those_that_were_begun(tmp_path):
    storage = Storage(root=tmp_path)
    assert storage.studies() == ()
    for name in ("b", "a", "cache"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        storage.study(name).spec.write_text("name: x", encoding="utf-8")
    assert storage.studies() == ("a", "b")
    assert Storage(root=tmp_path / "missing").studies() == ()


def test_preparing_makes_the_root_and_leaves_nothing_in_it(tmp_path):
    storage = Storage(root=tmp_path / "a" / "b")
    storage.prepare()
    storage.prepare()
    assert list(storage.root.iterdir()) == []


def test_a_root_that_cannot_be_written_is_refused_with_what_to_do(tmp_path):
    root = tmp_path / "file"
    root.write_text("", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        Storage(root=root).prepare()
    assert str(caught.value) == (
        f"{root} must be a folder that can be written, but: File exists; name another with "
        "--storage."
    )
