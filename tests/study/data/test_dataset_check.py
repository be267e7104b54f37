"""The files that the data root holds of a dataset, compared with what was published."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import NoReturn

import pytest

from study.data import DownloadError, check_dataset
from study.data.dataset_check import check_file
from tests.study.data.conftest import CONTENT, OTHER, md5
from trainables.datasets import sources
from trainables.datasets.sources import SOURCES, DatasetSource, SourceFile
from trainables.errors import DataError


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
    finding = check_file(path, source)
    assert finding.path == name
    assert finding.size == (None if content is None else len(content))
    assert finding.is_usable == (finding.state in ("ok", "whole"))
    return finding.state, finding.detail


def test_a_file_that_is_not_there_is_missing(tmp_path):
    assert found(tmp_path, "a.gz", None) == ("missing", "")
    assert check_file(tmp_path / "x", SourceFile(path="x", urls=())).size_text == ""


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
        f"it cannot be read to its end: Bad CRC-32 for file 'a.txt' ({len(whole)} bytes)",
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
        check_file(path, SourceFile(path="a.gz", urls=(), checksum=md5(CONTENT)))
    assert str(caught.value) == (
        f"{path} must be readable, but is not (Permission denied); give yourself the right to "
        "read it."
    )


def test_digits_need_no_data_root():
    found = check_dataset("digits", None)
    assert (found.files, found.unknown_files, found.problem) == ((), (), None)


def test_what_has_files_needs_a_data_root():
    with pytest.raises(DataError) as caught:
        check_dataset("mnist", None)
    assert str(caught.value).startswith("dataset 'mnist' is read from a data root, and none was")


def test_an_empty_data_root_lacks_every_file_and_stays_empty(tmp_path):
    found = check_dataset("mnist", tmp_path)
    assert [(file.path, file.state) for file in found.files] == [
        (file.path, "missing") for file in SOURCES["mnist"].files
    ]
    assert found.unknown_files == ()
    assert found.problem is not None
    assert f"{tmp_path}/mnist/MNIST/raw/" in found.problem
    assert list(tmp_path.iterdir()) == []


def test_what_is_beside_the_published_files_is_named_one_level_deep(tmp_path):
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"x")
    (tmp_path / "mnist" / "unpacked").mkdir()
    (tmp_path / "mnist" / "unpacked" / "deep").write_bytes(b"")
    (tmp_path / "mnist" / "a.part").write_bytes(b"")
    found = check_dataset("mnist", tmp_path)
    assert found.unknown_files == ("mnist/a.part", "mnist/unpacked")
    assert [file.state for file in found.files] == ["damaged", *["missing"] * 3]


def test_a_dataset_that_is_content_is_not_usable_beside_a_damaged_file(tmp_path, monkeypatch):
    digits = DatasetSource(files=(SourceFile(path="digits/more.json", urls=()),))
    monkeypatch.setattr(sources, "SOURCES", {"digits": digits})
    assert check_dataset("digits", tmp_path).problem is None
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "more.json").write_text("", encoding="utf-8")
    assert check_dataset("digits", tmp_path).problem == (
        "digits/more.json is damaged: it cannot be read to its end: it is empty (0 bytes); "
        "fetch it with 'challenger-study data fetch digits'."
    )


def test_what_nothing_reads_must_be_as_published(tmp_path, monkeypatch):
    files = tuple(
        SourceFile(path=f"set/{name}.json", urls=(), checksum=checksum)
        for name, checksum in (("a", None), ("b", md5(b"{}")))
    )
    monkeypatch.setattr(sources, "SOURCES", {"set": DatasetSource(files=files)})
    fetch = "fetch it with 'challenger-study data fetch set'."
    assert check_dataset("set", tmp_path).problem == f"set/a.json is missing; {fetch}"
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / f"{name}.json").write_text("[]", encoding="utf-8")
    assert check_dataset("set", tmp_path).problem == (
        f"set/b.json is different: its md5 should be {md5(b'{}').digest}, but is "
        f"{md5(b'[]').digest} (2 bytes); {fetch}"
    )
    (tmp_path / "set" / "b.json").write_text("{}", encoding="utf-8")
    assert check_dataset("set", tmp_path).problem is None


def test_what_a_dataset_needs_is_listed_with_it(tmp_path, monkeypatch):
    vectors = DatasetSource(files=(SourceFile(path="vectors/v.json", urls=()),))
    digits = DatasetSource(
        files=(SourceFile(path="digits/d.json", urls=()),), requires=("vectors",)
    )
    monkeypatch.setattr(sources, "SOURCES", {"vectors": vectors, "digits": digits})
    found = check_dataset("digits", tmp_path)
    assert [file.path for file in found.files] == ["digits/d.json", "vectors/v.json"]


def test_word_vectors_are_judged_by_their_reader(tmp_path):
    problem = check_dataset("glove", tmp_path).problem
    assert problem is not None
    assert problem.startswith(f"{tmp_path}/glove holds no word vectors")
    (tmp_path / "glove").mkdir()
    vector = " ".join(["word", *["0.5"] * 100]) + "\n"
    (tmp_path / "glove" / "glove.6B.100d.txt").write_text(vector, encoding="utf-8")
    found = check_dataset("glove", tmp_path)
    assert (found.problem, found.unknown_files) == (None, ("glove/glove.6B.100d.txt",))
    assert [file.state for file in found.files] == ["missing"]


@pytest.mark.data
def test_real_mnist_is_as_published(challenger_data: Path) -> None:
    found = check_dataset("mnist", challenger_data)
    assert [file.state for file in found.files] == ["ok"] * 4
    assert [file.size for file in found.files] == [file.size for file in SOURCES["mnist"].files]
    assert found.problem is None
