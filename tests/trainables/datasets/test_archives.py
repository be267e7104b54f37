"""Archives of strangers: damaged, endless, encrypted, and with files that lead elsewhere."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainables.datasets.small_texts import pack
from trainables.datasets.archives import (
    ArchiveLimits,
    archived_files,
    check_readable,
    gzip_content,
)
from trainables.errors import DataError

NOISE = random.Random(0).randbytes(5000)
ENDED = "Compressed file ended before the end-of-stream marker was reached"
SMALL = ArchiveLimits(members=3, total_bytes=40_000, ratio=10, free_bytes=12_000)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.tar.gz"
    pack(path, {"b/2": NOISE, "a/1": b""})
    return path


def flipped(content: bytes) -> bytes:
    return content[:3000] + bytes([content[3000] ^ 1]) + content[3001:]


def contents(path: Path, limits: ArchiveLimits = SMALL) -> dict[str, bytes]:
    return {file.name: file.read() for file in archived_files(path, limits)}


@pytest.mark.parametrize("mode", ["gz", "xz"])
def test_files_are_given_as_they_are_packed(mode, tmp_path):
    path = tmp_path / "some.tar"
    with tarfile.open(path, f"w:{mode}") as tar:
        for name, content in (("./b/2", NOISE), ("a/1", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert list(contents(path).items()) == [("b/2", NOISE), ("a/1", b"")]
    check_readable(path, SMALL)


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


def tar_with(**settings: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, "w:gz") as tar:
            member = tarfile.TarInfo("a")
            for name, value in settings.items():
                setattr(member, name, value)
            tar.addfile(member)

    return write


def tar_of(*files: tuple[str, int]) -> Callable[[Path], None]:
    return lambda path: pack(path, {name: bytes(size) for name, size in files})


def raw_tar(**fields: bytes) -> Callable[[Path], None]:
    """Write a header with fields that tarfile would not write."""

    def write(path: Path) -> None:
        header = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
        for name, value in fields.items():
            start = {"size": 124, "type": 156}[name]
            header[start : start + len(value)] = value
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))

    return write


def zip_of(**settings: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        member = zipfile.ZipInfo(str(settings.get("name", "a")))
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = int(str(settings.get("attributes", 0)))
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr(member, bytes(int(str(settings.get("size", 5)))))

    return write


def altered_zip(position: int, value: bytes, *, central: int) -> Callable[[Path], None]:
    """Alter a field of the only file, in its own header and in the directory."""

    def write(path: Path) -> None:
        zip_of()(path)
        content = bytearray(path.read_bytes())
        for start in (position, content.index(b"PK\1\2") + central):
            content[start : start + len(value)] = value
        path.write_bytes(content)

    return write


OUTSIDE = "'{}' is a path that leads out of its folder or has odd characters"
NO_FILE = "is a link, a device or a sparse file"
HOSTILE = {
    "absolute.tar.gz": (tar_of(("/etc/passwd", 5)), OUTSIDE.format("/etc/passwd")),
    "upwards.tar.gz": (tar_of(("a/../../b", 5)), OUTSIDE.format("a/../../b")),
    "escape.tar.gz": (tar_of(("\33[31m", 5)), "'\\x1b[31m' is a path"),
    "link.tar.gz": (tar_with(type=tarfile.SYMTYPE, linkname="/etc/passwd"), NO_FILE),
    "hard_link.tar.gz": (tar_with(type=tarfile.LNKTYPE, linkname="a"), NO_FILE),
    "pipe.tar.gz": (tar_with(type=tarfile.FIFOTYPE), NO_FILE),
    "device.tar.gz": (tar_with(type=tarfile.CHRTYPE), NO_FILE),
    "sparse.tar.gz": (raw_tar(type=b"S"), NO_FILE),
    "claims_much.tar.gz": (raw_tar(size=b"\x80" + b"\7" * 11), "it unpacks to more than 12000"),
    "claims_less.tar.gz": (raw_tar(size=b"\xff" * 12), NO_FILE),
    "many.tar.gz": (tar_of(*((str(k), 0) for k in range(4))), "it holds more than 3 files"),
    "expands.tar.gz": (tar_of(("a", 19_000)), "it unpacks to more than"),
    "large.tar.gz": (tar_of(("a", 1 << 20)), "it unpacks to more than"),
    "absolute.zip": (zip_of(name="/etc/passwd"), OUTSIDE.format("/etc/passwd")),
    "upwards.zip": (zip_of(name="../b"), OUTSIDE.format("../b")),
    "backslash.zip": (zip_of(name="a\\b"), OUTSIDE.format("a\\b")),
    "link.zip": (zip_of(attributes=0o120777 << 16), "'a' is a link"),
    "expands.zip": (zip_of(size=19_000), "it unpacks to more than"),
    "encrypted.zip": (altered_zip(6, b"\1\0", central=8), "is encrypted, password required"),
    "method.zip": (altered_zip(8, b"\x63\0", central=10), "compression method is not supported"),
    "claims_less.zip": (
        altered_zip(22, struct.pack("<I", 2), central=24),
        "is damaged (Bad CRC-32 for file 'a')",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_with_one_message(name, tmp_path):
    write, reason = HOSTILE[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        contents(path)
    said = str(caught.value)
    assert said.startswith(f"{path} is damaged (")
    assert reason in said
    assert said.isprintable()


@pytest.mark.parametrize("read", [gzip_content, check_readable])
def test_a_gzip_file_is_unpacked_up_to_the_limit(read, tmp_path):
    path = tmp_path / "numbers.gz"
    path.write_bytes(gzip.compress(NOISE))
    assert gzip_content(path, SMALL) == NOISE
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(DataError, match=r"it unpacks to more than \d+ bytes"):
        read(path, SMALL)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_damaged_byte_anywhere_is_one_message(kind, tmp_path):
    generator, path = random.Random(0), tmp_path / f"some.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name in "ab":
                opened.writestr(name, NOISE[:500])
    else:
        pack(path, {"a": NOISE[:500], "b": NOISE[:500]})
    whole, said = path.read_bytes(), []
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(3):
            content[generator.randrange(len(content))] = generator.randrange(256)
        path.write_bytes(content)
        try:
            contents(path)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 150
    assert all(text.isprintable() for text in said)


def test_an_archive_that_may_not_be_read_is_said(tmp_path):
    with pytest.raises(DataError, match="must be readable, but is not"):
        list(archived_files(tmp_path))
