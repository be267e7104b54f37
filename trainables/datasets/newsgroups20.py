"""20 Newsgroups: 18,846 postings to twenty groups, split by date."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from trainables.datasets.archives import archived_files
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.glove import DIMENSION, check_glove, find_glove
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.text import (
    Corpus,
    Document,
    TextSettings,
    build_corpus,
    tokenize_document,
)
from trainables.decoding import record
from trainables.errors import DataError
from trainables.fields import Size

_ARCHIVE = "20news-bydate.tar.gz"
TRAIN, TEST = "20news-bydate-train", "20news-bydate-test"

# scikit-learn's checksum of the archive.
_ARCHIVE_SHA256 = "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"
# That of its documents in any packing (see _digest), which are those of scikit-learn's documented
# examples: 11,314 with 22.055 MB and 130,107 words, and 7,532 with 13.801 MB.
_DOCUMENTS_SHA256 = "0c8abe6270e97e050bc76743c49c4d6d97afa7d229cd4f2f61eae917921b14e4"


def find_source(home: Path) -> Path:
    """Return the archive, or the folder of its unpacked files.

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
    """Read all documents by their path in the archive, in alphabetical order.

    A path is such as ``…-train/sci.med/57110``.

    Raises:
        DataError: If the archive is truncated, or the documents are not the published ones.
    """
    found = dict(sorted(_from_folder(source) if source.is_dir() else _from_archive(source)))
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
            # Documents are named by numbers; other files may lie among them.
            if path.name.isdigit():
                yield path.relative_to(home).as_posix(), path.read_bytes()


def _from_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    for file in archived_files(archive):
        yield file.name, file.read()


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


@record
class Newsgroups20(TextSettings):
    """Postings to twenty groups as GloVe vectors, or a subset of any size.

    The 11,314 earlier postings are for training and validation, the 7,532 later ones for
    testing, as scikit-learn splits them. The paper's first author trained on 9,000 and validated
    on 2,314 of the former, in the order of the files; here the 2,314 are drawn, stratified.
    Below ``newsgroups20/`` the data root holds ``20news-bydate.tar.gz`` or what it unpacks to,
    and below ``glove/`` the vectors. Classes are the groups in alphabetical order.

    Attributes:
        headers: Whether the lines before the first empty line, with the sender and the subject,
            are part of a text; ``strip`` is scikit-learn's ``remove=("headers",)``.
    """

    name: ClassVar[str] = "newsgroups20"
    val_size: Size = 2314
    test_size: Size | None = None
    headers: Literal["keep", "strip"] = "keep"

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading."""
        return DatasetInfo(n_classes=20, input_shape=(DIMENSION, self.length), domain="text")

    @property
    def label(self) -> str:
        """The dataset's name in results."""
        return self.name if self.headers == "keep" else f"{self.name} (headers stripped)"

    @property
    def pool_size(self) -> int:
        """Samples for training and validation."""
        return 11_314

    def check(self, folders: DataFolders) -> None:
        """Check the sizes, the documents and the vectors.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        self.check_sizes(self.pool_size, 7532, self.info.n_classes)
        read_documents(find_source(dataset_folder(folders, self.name)))
        check_glove(find_glove(folders))

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read and split."""
        source = find_source(dataset_folder(folders, self.name))
        # The documents are the published ones in any packing.
        pool, test = self.tokenized(folders, [self.headers], lambda: self._read(source))
        return self.split(pool, test, replica_seed)

    def _read(self, source: Path) -> Corpus:
        documents = read_documents(source)
        return build_corpus(self._part(documents, TRAIN), self._part(documents, TEST))

    def _part(self, documents: Mapping[str, bytes], part: str) -> Iterator[Document]:
        groups = sorted({name.split("/")[1] for name in documents})
        for name, content in documents.items():
            folder, group, _ = name.split("/")
            if folder == part:
                text = content.decode("latin-1")
                kept = text if self.headers == "keep" else strip_header(text)
                yield tokenize_document(kept, groups.index(group))


def strip_header(text: str) -> str:
    """Drop all before the first empty line, and everything if there is none."""
    return text.partition("\n\n")[2]
