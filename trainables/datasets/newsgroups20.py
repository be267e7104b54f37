"""20 Newsgroups: 18,846 postings to twenty groups, split by date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from trainables.datasets.corpus import Corpus, Document, gather, text_document
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.glove import DIMENSION, check_glove, find_glove
from trainables.datasets.newsgroups20_files import TEST, TRAIN, find_source, read_documents
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.text_settings import TextSettings


@dataclass(frozen=True, slots=True, kw_only=True)
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
    val_size: int = 2314
    test_size: int | None = None
    headers: Literal["keep", "strip"] = "keep"

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading."""
        return DatasetInfo(n_classes=20, input_shape=(DIMENSION, self.length), domain="text")

    @property
    def label(self) -> str:
        """Name the dataset as results must."""
        return self.name if self.headers == "keep" else f"{self.name} (headers stripped)"

    def check(self, folders: DataFolders) -> None:
        """Check the sizes, the documents and the vectors.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        self.check_sizes(11_314, 7532, self.info.n_classes)
        read_documents(find_source(dataset_folder(folders, self.name)))
        check_glove(find_glove(folders))

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read and split."""
        source = find_source(dataset_folder(folders, self.name))
        # Whatever packs the documents, they are the published ones.
        pool, test = self.encoded(folders, [self.headers], lambda: self._read(source))
        return self.split(pool, test, replica_seed)

    def _read(self, source: Path) -> Corpus:
        documents = read_documents(source)
        return gather(self._part(documents, TRAIN), self._part(documents, TEST))

    def _part(self, documents: Mapping[str, bytes], part: str) -> Iterator[Document]:
        groups = sorted({name.split("/")[1] for name in documents})
        for name, content in documents.items():
            folder, group, _ = name.split("/")
            if folder == part:
                text = content.decode("latin-1")
                kept = text if self.headers == "keep" else strip_header(text)
                yield text_document(kept, groups.index(group))


def strip_header(text: str) -> str:
    """Drop all before the first empty line, and everything if there is none."""
    return text.partition("\n\n")[2]
