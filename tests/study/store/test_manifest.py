from __future__ import annotations

import pytest

from study.errors import SpecError
from study.store.manifest import Manifest, read_manifest

MANIFEST = Manifest(
    name="demo",
    metric="val/nll",
    direction="minimise",
    search={"base": 0, "challenger": 6},
    final={"base": 1, "challenger": 10},
)


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(MANIFEST.encode(), encoding="utf-8")
    assert read_manifest(path) == MANIFEST


def test_an_unknown_study_is_refused_with_the_names_there_are(tmp_path):
    for name in ("second", "first"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(MANIFEST.encode(), encoding="utf-8")
    (tmp_path / "cache").mkdir()
    with pytest.raises(SpecError) as caught:
        read_manifest(tmp_path / "third" / "manifest.json")
    assert str(caught.value) == (f"there is no study 'third' in {tmp_path}; known: first, second.")


def test_there_need_be_no_storage_at_all(tmp_path):
    storage = tmp_path / "storage"
    with pytest.raises(SpecError) as caught:
        read_manifest(storage / "x" / "manifest.json")
    assert str(caught.value) == f"there is no study 'x' in {storage}; known: none."
    assert not storage.exists()
