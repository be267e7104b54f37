"""A corpus: documents as words, with their classes and their split."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from trainables.datasets.words import split_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document.

    Attributes:
        words: Its words, in order.
        target: Its class index.
    """

    words: Sequence[str]
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All words of all documents in one row; the training documents come first.

    Attributes:
        words: The distinct words, in order of their first occurrence.
        ids: For every word of every document, which of ``words`` it is.
        lengths: Number of words of each document.
        targets: Class index of each document.
        n_train: Number of training documents; the others are test documents.
    """

    words: tuple[str, ...]
    ids: Int32[np.ndarray, " token"]
    lengths: Int64[np.ndarray, " document"]
    targets: Int64[np.ndarray, " document"]
    n_train: int


def text_document(text: str, target: int) -> Document:
    """Split a text into the words of a document."""
    return Document(words=split_words(text), target=target)


def gather(train: Iterable[Document], test: Iterable[Document]) -> Corpus:
    """Make a corpus of its documents, each of which is looked at once and in order."""
    index: defaultdict[str, int] = defaultdict()
    index.default_factory = index.__len__
    ids, lengths, targets = array("i"), array("q"), array("q")

    def add(documents: Iterable[Document]) -> None:
        for document in documents:
            ids.extend(map(index.__getitem__, document.words))
            lengths.append(len(document.words))
            targets.append(document.target)

    add(train)
    n_train = len(lengths)
    add(test)
    return Corpus(
        words=tuple(index),
        ids=np.array(ids, dtype=np.int32),
        lengths=np.array(lengths, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        n_train=n_train,
    )
