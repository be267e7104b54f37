"""Texts as sequences of word vectors: tokenization, corpus, vocabulary and settings."""

from __future__ import annotations

import functools
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32, Int64
from pydantic import Field

from trainables.datasets.data_files import cache_path, ensure_cached
from trainables.datasets.glove import WordVectors, find_glove, read_glove
from trainables.datasets.samples import TokenSamples
from trainables.datasets.splits import DataFolders
from trainables.datasets.subset import SubsetSettings
from trainables.decoding import record
from trainables.errors import DataError

# Default ``filters`` of Keras' Tokenizer; without the apostrophe, so that "don't" is one word.
_FILTERED = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_TO_SPACES = str.maketrans(_FILTERED, " " * len(_FILTERED))


def split_words(text: str) -> list[str]:
    r"""Split a text into words: lower case, punctuation out, split at white space.

    Equal to ``keras.preprocessing.text.text_to_word_sequence``, except that it also splits at
    rare white space such as a form feed.

    Example:
        >>> split_words("From: me@here.org -- Don't\tpanic!")
        ['from', 'me', 'here', 'org', "don't", 'panic']
    """
    return text.lower().translate(_TO_SPACES).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Words of one document in order, and its class index."""

    words: Sequence[str]
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All words of all documents as one array; the training documents come first.

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


def tokenize_document(text: str, target: int) -> Document:
    """Split a text into the words of a document."""
    return Document(words=split_words(text), target=target)


def build_corpus(train: Iterable[Document], test: Iterable[Document]) -> Corpus:
    """Build a corpus of documents, iterating once and in order."""
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


VocabularySource: TypeAlias = Literal["train", "all"]
TruncateSide: TypeAlias = Literal["end", "start"]

_DROPPED = -1


def frequent_words(
    corpus: Corpus, size: int, counted: VocabularySource
) -> Int64[np.ndarray, " chosen"]:
    """Return the indices of at most ``size`` words, the most frequent first.

    Frequencies are counted in the ``train`` documents alone or in ``all``; ties are in order of
    first occurrence.
    """
    end = corpus.lengths[: corpus.n_train].sum() if counted == "train" else len(corpus.ids)
    counts = np.bincount(corpus.ids[:end], minlength=len(corpus.words))
    order = np.argsort(-counts, kind="stable")[:size]
    return order[counts[order] > 0]


def vector_rows(
    corpus: Corpus, chosen: Int64[np.ndarray, " chosen"], known: WordVectors
) -> tuple[Int64[np.ndarray, " word"], Float32[np.ndarray, "row dimension"]]:
    """Assign each word of a corpus the row of its vector.

    Returns:
        Per word of the corpus its row, 0 for a chosen word without a vector, and -1 for a word
        that is not chosen; and the rows, of which row 0 is zero.
    """
    index_of = {word: index for index, word in enumerate(known.words)}
    names = [corpus.words[word] for word in chosen]
    found = [
        (i, index_of[name]) for i, name in zip(chosen, names, strict=True) if name in index_of
    ]
    rows = np.full(len(corpus.words), _DROPPED, dtype=np.int64)
    rows[chosen] = 0
    rows[[word for word, _ in found]] = np.arange(1, len(found) + 1)
    vectors = np.zeros((len(found) + 1, known.vectors.shape[1]), dtype=np.float32)
    vectors[1:] = known.vectors[[index for _, index in found]]
    return rows, vectors


def pad_or_truncate(
    corpus: Corpus, rows: Int64[np.ndarray, " word"], length: int, truncate: TruncateSide
) -> Int[np.ndarray, "document length"]:
    """Return documents as token rows of equal length, int16 if that suffices, else int32.

    Args:
        corpus: Documents.
        rows: Row per word of the corpus; words of row -1 are dropped before truncation.
        length: Number of tokens; shorter documents are padded with 0 behind their end.
        truncate: Part of a longer document that is cut off.
    """
    every = rows[corpus.ids]
    document = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
    document, every = document[every != _DROPPED], every[every != _DROPPED]
    lengths = np.bincount(document, minlength=len(corpus.lengths))
    first = np.cumsum(lengths) - lengths
    if truncate == "start":
        first = first + np.maximum(lengths - length, 0)
    position = np.arange(len(every)) - first[document]
    fits = (position >= 0) & (position < length)
    small = rows.max(initial=0) <= np.iinfo(np.int16).max
    tokens = np.zeros((len(lengths), length), dtype=np.int16 if small else np.int32)
    tokens[document[fits], position[fits]] = every[fits]
    return tokens


# To be incremented when the same settings and files give other arrays.
_VERSION = 1

Length: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]


@record
class TextSettings(SubsetSettings):
    """Sizes, subset and words of a text dataset; the rest is in :class:`SubsetSettings`.

    Texts are split as Keras' old Tokenizer did. Words outside the vocabulary are dropped, as it
    drops them; words of the vocabulary that GloVe does not know stay as positions without a
    vector. Then texts are cut to ``length``, and shorter ones padded behind their end.

    Attributes:
        length: Number of words of a text that a model sees.
        vocabulary: Number of words that are kept, the most frequent ones.
        truncate: Which part of a longer text is cut off; Keras cut off the ``start``.
        vocabulary_from: Which documents' words count: those of the official ``train`` part,
            whatever subset of it is trained on, or ``all``, the test documents too, as the
            paper's first author did in earlier work.
    """

    name: ClassVar[str]
    length: Length = 1000
    vocabulary: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    truncate: Literal["end", "start"] = "end"
    vocabulary_from: Literal["train", "all"] = "train"

    def tokenized(
        self, folders: DataFolders, identity: object, read: Callable[[], Corpus]
    ) -> tuple[TokenSamples, TokenSamples]:
        """Return the training and the test documents as tokens, cached since parsing is slow.

        Args:
            folders: Data root with the vectors, and cache.
            identity: Plain data that identifies the corpus of ``read``.
            read: Reads the corpus; not called if the result is cached.

        Raises:
            DataError: If the vectors are missing or damaged, or belong to no word of the corpus.
        """
        glove = find_glove(folders)
        status = glove.stat()
        words = [self.length, self.vocabulary, self.truncate, self.vocabulary_from]
        vectors = [glove.name, status.st_size, status.st_mtime_ns]
        path = cache_path(folders.cache / self.name, [_VERSION, identity, words, vectors])
        ensure_cached(path, lambda: self._arrays(read(), glove))
        return _samples(path)

    def _arrays(self, corpus: Corpus, glove: Path) -> Mapping[str, np.ndarray]:
        chosen = frequent_words(corpus, self.vocabulary, self.vocabulary_from)
        known = read_glove(glove, {corpus.words[word] for word in chosen})
        if not known.words:
            raise DataError(
                f"{glove} has a vector for none of the {len(chosen)} words of {self.name!r}; "
                "replace it by vectors of English words."
            )
        rows, vectors = vector_rows(corpus, chosen, known)
        return {
            "tokens": pad_or_truncate(corpus, rows, self.length, self.truncate),
            "vectors": vectors,
            "targets": corpus.targets,
            "n_train": np.array(corpus.n_train),
        }


@functools.lru_cache(maxsize=2)
def _samples(path: Path) -> tuple[TokenSamples, TokenSamples]:
    # Shared by the replicas of a trial.
    with np.load(path) as arrays:
        n_train = int(arrays["n_train"])
        tokens, targets, vectors = (
            torch.from_numpy(arrays[name]) for name in ("tokens", "targets", "vectors")
        )
    return (
        TokenSamples(tokens=tokens[:n_train], vectors=vectors, targets=targets[:n_train]),
        TokenSamples(tokens=tokens[n_train:], vectors=vectors, targets=targets[n_train:]),
    )
