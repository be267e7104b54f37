"""The identity of a study in MLflow: made once, kept, and made again if its file is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.records.errors import StoreError
from study.tracking.study_identity import ensure_identity, read_identity


def test_it_is_made_once_and_differs_between_folders(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    assert read_identity(one) is None
    made = ensure_identity(one)
    assert ensure_identity(one) == read_identity(one) == made
    assert ensure_identity(other) != made
    assert [path.name for path in one.iterdir()] == ["mlflow-id"]


@pytest.mark.parametrize("content", [b"", b"null", b"\xff\xfe", b"ABC\n", b"a" * 40, b"' OR 1=1"])
def test_a_damaged_file_is_made_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow-id").write_bytes(content)
    assert read_identity(tmp_path) is None
    assert ensure_identity(tmp_path) == read_identity(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"gone must be writable for the identity of its study"):
        ensure_identity(tmp_path / "gone")
