from __future__ import annotations

import random

import pytest

from tests.trainables.datasets.small_texts import pack
from trainables.datasets.tar_archive import archived_files
from trainables.errors import DataError

NOISE = random.Random(0).randbytes(5000)
ENDED = "Compressed file ended before the end-of-stream marker was reached"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.tar.gz"
    pack(path, {"b/2": NOISE, "a/1": b""})
    return path


def flipped(content: bytes) -> bytes:
    return content[:3000] + bytes([content[3000] ^ 1]) + content[3001:]


def test_files_are_given_as_they_are_packed(archive):
    assert list(archived_files(archive)) == [("b/2", NOISE), ("a/1", b"")]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"<html>", "Not a gzipped file (b'<h')"),
        (lambda whole: whole[:3000], ENDED),
        (lambda whole: whole[:-6], ENDED),
        (lambda whole: whole[:-8] + bytes(4) + whole[-4:], "CRC check failed"),
        (flipped, "CRC check failed"),
        (lambda _: b"", "empty file"),
    ],
    ids=["page", "half", "cut", "checksum", "bit", "empty"],
)
def test_a_damaged_archive_is_refused(archive, damage, reason):
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(DataError) as caught:
        list(archived_files(archive))
    said = str(caught.value)
    assert said.startswith(f"{archive} is damaged ({reason}")
    assert said.endswith("); replace it by a fresh copy.")
