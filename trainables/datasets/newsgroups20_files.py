"""The files of 20 Newsgroups by date: which form the data root holds, and whether it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainables.datasets.tar_archive import archived_files
from trainables.errors import DataError

_ARCHIVE = "20news-bydate.tar.gz"
TRAIN, TEST = "20news-bydate-train", "20news-bydate-test"

# scikit-learn's checksum of the archive.
_ARCHIVE_SHA256 = "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"
# That of its documents, however they are packed (see _digest). They are those of scikit-learn's
# documented examples: 11,314 with 22.055 MB and 130,107 words, and 7,532 with 13.801 MB.
_DOCUMENTS_SHA256 = "0c8abe6270e97e050bc76743c49c4d6d97afa7d229cd4f2f61eae917921b14e4"


def find_source(home: Path) -> Path:
    """Give the archive, or the folder into which it was unpacked.

    Raises:
        DataError: If the data root holds neither.
    """
    if (home / _ARCHIVE).is_file():
        return home / _ARCHIVE
    if all((home / part).is_dir() for part in (TRAIN, TEST)):
        return home
    raise DataError(
        f"{home} holds no 20 Newsgroups; put {_ARCHIVE} with sha256 {_ARCHIVE_SHA256} there, or "
        "name another data root with --data-root or CHALLENGER_DATA."
    )


def read_documents(source: Path) -> Mapping[str, bytes]:
    """Read all documents by their path in the archive, such as ``…-train/sci.med/57110``.

    Returns:
        Documents in alphabetical order of their paths.

    Raises:
        DataError: If the archive is truncated, or the documents are not the published ones.
    """
    found = dict(sorted(_from_folder(source) if source.is_dir() else archived_files(source)))
    if not _is_official(source):
        digest = _digest(found)
        if digest != _DOCUMENTS_SHA256:
            raise DataError(
                f"{source} holds {len(found)} documents, but not those of 20 Newsgroups by date: "
                f"their sha256 should be {_DOCUMENTS_SHA256}, but is {digest}; put {_ARCHIVE} "
                f"with sha256 {_ARCHIVE_SHA256} in their place."
            )
    return found


def _from_folder(home: Path) -> Iterator[tuple[str, bytes]]:
    for part in (TRAIN, TEST):
        for path in (home / part).glob("*/*"):
            # Documents are named by numbers; a desktop may have left other files among them.
            if path.name.isdigit():
                yield path.relative_to(home).as_posix(), path.read_bytes()


def _is_official(source: Path) -> bool:
    return source.is_file() and (
        hashlib.sha256(source.read_bytes()).hexdigest() == _ARCHIVE_SHA256
    )


def _digest(documents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in documents.items():
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
