"""What is said of a file that is there."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import NoReturn

import pytest

from study.data import DownloadError
from study.data.finding import examine
from tests.study.data.conftest import CONTENT, OTHER, md5
from trainables.datasets.sources import SourceFile


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", "content that is stored as it is")
    return stream.getvalue()


def found(tmp_path, name: str, content: bytes | None, **given: object) -> tuple[str, str]:
    source = SourceFile(path=name, urls=(), **given)
    path = tmp_path / "part"
    if content is not None:
        path.write_bytes(content)
    finding = examine(path, source)
    assert finding.path == name
    assert finding.size == (None if content is None else len(content))
    assert finding.is_usable == (finding.state in ("ok", "whole"))
    return finding.state, finding.detail


def test_a_file_that_is_not_there_is_missing(tmp_path):
    assert found(tmp_path, "a.gz", None) == ("missing", "")
    assert examine(tmp_path / "x", SourceFile(path="x", urls=())).shown_size == ""


def test_a_file_with_the_published_checksum_is_ok(tmp_path):
    assert found(tmp_path, "a.gz", CONTENT, checksum=md5(CONTENT)) == ("ok", "md5 as published")


def test_a_readable_file_with_another_checksum_is_different(tmp_path):
    assert found(tmp_path, "a.gz", OTHER, checksum=md5(CONTENT)) == (
        "different",
        f"its md5 should be {md5(CONTENT).digest}, but is {md5(OTHER).digest} ({len(OTHER)} "
        "bytes)",
    )


@pytest.mark.parametrize("has_checksum", [False, True])
def test_a_truncated_archive_is_damaged(tmp_path, has_checksum):
    checksum = md5(CONTENT) if has_checksum else None
    assert found(tmp_path, "a.tar.gz", CONTENT[:-9], checksum=checksum) == (
        "damaged",
        "it cannot be read to its end: Compressed file ended before the end-of-stream marker was "
        f"reached ({len(CONTENT) - 9} bytes)",
    )


@pytest.mark.parametrize("name", ["a.gz", "a.tgz", "a.zip", "a.npz", "a.json"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"\x1f\x8b\x08\x00ab", zipped()[:-30]])
def test_what_is_no_file_of_its_kind_is_damaged(tmp_path, name, content):
    state, detail = found(tmp_path, name, content)
    assert state == "damaged"
    assert detail.startswith("it cannot be read to its end: ")


def test_one_altered_byte_in_an_archive_is_found(tmp_path):
    whole = zipped()
    altered = whole.replace(b"stored", b"storeb")
    assert found(tmp_path, "a.zip", whole)[0] == "whole"
    assert found(tmp_path, "a.zip", altered) == (
        "damaged",
        f"it cannot be read to its end: bad checksum of a.txt ({len(whole)} bytes)",
    )
    middle = len(CONTENT) // 2
    flipped = CONTENT[:middle] + bytes([CONTENT[middle] ^ 1]) + CONTENT[middle + 1 :]
    assert found(tmp_path, "a.gz", flipped)[0] == "damaged"


def test_without_a_checksum_the_size_counts_where_it_is_known(tmp_path):
    content = json.dumps({"a": 1}).encode()
    whole = "no checksum is published; size and readability checked"
    assert found(tmp_path, "a.json", content, size=len(content)) == ("whole", whole)
    assert found(tmp_path, "a.json", content, size=9) == (
        "different",
        "it should have 9 bytes, but has 8",
    )
    assert found(tmp_path, "a.json", content) == (
        "whole",
        "no checksum is published; readability checked",
    )


def test_a_file_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.gz"
    path.write_bytes(CONTENT)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DownloadError) as caught:
        examine(path, SourceFile(path="a.gz", urls=(), checksum=md5(CONTENT)))
    assert str(caught.value) == (
        f"{path} must be readable, but is not (Permission denied); give yourself the right to "
        "read it."
    )
