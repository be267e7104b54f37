"""The files of PTB-XL: which form the data root holds, and whether they are whole."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from trainables.datasets.data_files import check_file
from trainables.datasets.ptbxl_tables import DATABASE, STATEMENTS, Tables, read_tables
from trainables.errors import DataError

SIGNALS = "records100"
ARCHIVE = "ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip"
SUBSET = "ptb-xl-subset1819.tar.xz"
_SUBSET_MD5 = "c1c10f2b5e81a6498aafd5065d171bf8"
# What a truncated or altered zip file raises; the other archive has a known checksum.
_UNREADABLE = (zipfile.BadZipFile, zlib.error)


def find_source(home: Path) -> Path:
    """Find PTB-XL in its folder of the data root: that folder itself, or an archive in it.

    Raises:
        DataError: If there is none, or only a part.
    """
    if (home / DATABASE).is_file():
        for part in (STATEMENTS, SIGNALS):
            if not (home / part).exists():
                raise DataError(
                    f"{home} holds {DATABASE} but no {part}; put that of PTB-XL 1.0.3 beside it."
                )
        return home
    for archive in (ARCHIVE, SUBSET):
        if (home / archive).is_file():
            return home / archive
    raise DataError(
        f"{home} holds no PTB-XL; put {DATABASE}, {STATEMENTS} and {SIGNALS}/ of PTB-XL 1.0.3 "
        f"there, or {ARCHIVE}, or {SUBSET}, or name another data root with --data-root or "
        "CHALLENGER_DATA."
    )


def check_source(source: Path) -> Tables:
    """Check that all files are there, and archives whole; leaves nothing behind.

    Returns:
        The tables, which are read on the way.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    if source.is_dir():
        names = {path.relative_to(source).as_posix() for path in source.glob(f"{SIGNALS}/*/*")}
        tables = read_tables(source)
    else:
        with TemporaryDirectory() as folder:
            names = unpack(source, Path(folder), with_signals=False)
            tables = read_tables(Path(folder))
    wanted = (row.path + ending for row in tables.records for ending in (".hea", ".dat"))
    for name in wanted:
        if name not in names:
            raise DataError(
                f"{source} lacks {name}, which its {DATABASE} names; replace it by a fresh copy."
            )
    return tables


def identify(source: Path) -> str:
    """Name a source by its content, as far as that is cheap: 16 hexadecimal digits.

    A folder goes by its place and its tables, an archive by its checksums.
    """
    if source.name == SUBSET:
        return _SUBSET_MD5[:16]
    digest = hashlib.sha256()
    if source.is_dir():
        digest.update(str(source.resolve()).encode())
        for table in (DATABASE, STATEMENTS):
            digest.update((source / table).read_bytes())
    else:
        with _readable(source), zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                digest.update(f"{member.filename} {member.CRC} {member.file_size}\n".encode())
    return digest.hexdigest()[:16]


def unpack(archive: Path, folder: Path, *, with_signals: bool) -> set[str]:
    """Unpack the tables of an archive, and the 100 Hz signals if wanted.

    Returns:
        All that the archive holds, as paths below its own topmost folder.

    Raises:
        DataError: If the archive is truncated or altered, or lacks a table.
    """
    if archive.name == SUBSET:
        check_file(archive, _SUBSET_MD5)
    names = set()
    with _readable(archive):
        for name, content in _zipped(archive) if archive.suffix == ".zip" else _tarred(archive):
            names.add(name)
            is_table = name in (DATABASE, STATEMENTS)
            if is_table or (with_signals and name.startswith(f"{SIGNALS}/")):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content())
    for table in (DATABASE, STATEMENTS):
        if table not in names:
            raise DataError(f"{archive} holds no {table}; replace it by a fresh copy.")
    return names


def _zipped(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if not member.is_dir():
                yield _below_root(member.filename), partial(opened.read, member)


def _tarred(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with tarfile.open(archive, "r|*") as opened:
        for member in opened:
            stream = opened.extractfile(member)
            if stream is not None:
                yield _below_root(member.name), stream.read


def _below_root(name: str) -> str:
    # Archives hold one folder, which is named after the version.
    return PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix()


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{archive} is damaged ({error}); replace it by a fresh copy.") from error
