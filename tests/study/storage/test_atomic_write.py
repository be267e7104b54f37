from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from study.records.errors import StoreError
from study.storage.atomic_write import write_atomic


@pytest.mark.parametrize(("content", "stored"), [("ä\n", "ä\n".encode()), (b"\x00\xff", None)])
def test_text_and_bytes_are_written_with_their_folder_and_nothing_beside_them(
    tmp_path, content, stored
):
    path = tmp_path / "a" / "b" / "file"
    assert write_atomic(path, content) == path
    assert path.read_bytes() == (stored or content)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_there_is_replaced_whole(tmp_path):
    path = write_atomic(tmp_path / "file", "a long first version")
    reader = path.open(encoding="utf-8")
    write_atomic(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    with reader:
        assert reader.read() == "a long first version"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_atomic(tmp_path / "file", "first")

    def fail(_self, _target) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreError) as caught:
        write_atomic(path, "second")
    assert str(caught.value) == (
        f"{path} must be writable, but is not (No space left on device); free it or name another "
        "folder."
    )
    assert path.read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "below"
    with pytest.raises(StoreError) as caught:
        write_atomic(path, "x")
    assert str(caught.value) == (
        f"{path} must be writable, but is not (File exists); free it or name another folder."
    )
