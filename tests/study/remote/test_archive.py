"""A report that travels as text arrives whole, or not at all, and nowhere else."""

from __future__ import annotations

import base64
import io
import tarfile
from contextlib import suppress

import pytest

from study.records.errors import ReportError
from study.remote.archive import pack, unpack, without_archive


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text("<p>α</p>" * 5000, encoding="utf-8")
    (folder / "figures" / "a.png").write_bytes(bytes(range(256)) * 40)
    return folder


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_arrives_as_it_was_amid_other_text(report, tmp_path):
    text = f"a table\n{pack(report)}\nthe end\n"
    unpack(text, tmp_path / "there")
    assert contents(tmp_path / "there") == contents(report)
    assert without_archive(text) == "a table\nthe end\n"


def test_a_text_without_a_folder_stays_as_it_is():
    assert without_archive("a table\n") == "a table\n"


def test_half_a_folder_is_refused_and_nothing_is_written(report, tmp_path):
    text = pack(report)
    with pytest.raises(ReportError, match="must arrive whole"):
        unpack(text[: len(text) // 2], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_an_altered_folder_is_refused(report, tmp_path):
    lines = pack(report).splitlines()
    lines[1] = lines[1][:-8] + "AAAAAAAA"
    with pytest.raises(ReportError, match="must arrive whole"):
        unpack("\n".join(lines), tmp_path / "there")


@pytest.mark.parametrize("name", ["../outside", "/tmp/challenger-outside", "a/../../outside"])
def test_nothing_is_written_outside_the_folder(name, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    text = base64.b64encode(stream.getvalue()).decode()
    there = tmp_path / "a" / "there"
    with suppress(ReportError):
        unpack(f"-----BEGIN FOLDER-----\n{text}\n-----END FOLDER-----", there)
    outside = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(there in path.parents for path in outside)


def test_a_folder_that_cannot_be_written_is_said(report, tmp_path):
    (tmp_path / "there").write_text("a file")
    with pytest.raises(ReportError, match="name another folder with --to"):
        unpack(pack(report), tmp_path / "there")
