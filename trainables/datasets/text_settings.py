"""The settings that all text datasets share: which words are kept, and how many of each text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from trainables.checks import require
from trainables.datasets.array_cache import cache_path, keep
from trainables.datasets.corpus import Corpus
from trainables.datasets.glove import find_glove, read_glove
from trainables.datasets.splits import DataFolders
from trainables.datasets.subset_settings import SubsetSettings
from trainables.datasets.token_samples import TokenSamples
from trainables.datasets.vocabulary import frequent_words, padded, vector_rows
from trainables.errors import DataError

# Goes up when the same settings and files come to mean other arrays.
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
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
    length: int = 1000
    vocabulary: int = 20_000
    truncate: Literal["end", "start"] = "end"
    vocabulary_from: Literal["train", "all"] = "train"

    def __post_init__(self) -> None:
        """Check the ranges."""
        SubsetSettings.__post_init__(self)
        require(self.length >= 1, "length", "must be at least 1", self.length)
        require(self.vocabulary >= 1, "vocabulary", "must be at least 1", self.vocabulary)

    def encoded(
        self, folders: DataFolders, identity: object, read: Callable[[], Corpus]
    ) -> tuple[TokenSamples, TokenSamples]:
        """Give the training and the test documents as tokens.

        Parsing takes seconds, so the result is kept in the cache folder.

        Args:
            folders: Where the vectors are, and where the result is kept.
            identity: Plain data that says which corpus ``read`` gives.
            read: Reads the corpus; not called if the result is there already.

        Raises:
            DataError: If the vectors are missing or damaged, or belong to no word of the corpus.
        """
        glove = find_glove(folders)
        status = glove.stat()
        words = [self.length, self.vocabulary, self.truncate, self.vocabulary_from]
        vectors = [glove.name, status.st_size, status.st_mtime_ns]
        path = cache_path(folders.cache / self.name, [_VERSION, identity, words, vectors])
        keep(path, lambda: self._arrays(read(), glove))
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
            "tokens": padded(corpus, rows, self.length, self.truncate),
            "vectors": vectors,
            "targets": corpus.targets,
            "n_train": np.array(corpus.n_train),
        }


@functools.lru_cache(maxsize=2)
def _samples(path: Path) -> tuple[TokenSamples, TokenSamples]:
    # Kept for the replicas of a trial, which share the words and their vectors.
    with np.load(path) as arrays:
        n_train = int(arrays["n_train"])
        tokens, targets, vectors = (
            torch.from_numpy(arrays[name]) for name in ("tokens", "targets", "vectors")
        )
    return (
        TokenSamples(tokens=tokens[:n_train], vectors=vectors, targets=targets[:n_train]),
        TokenSamples(tokens=tokens[n_train:], vectors=vectors, targets=targets[n_train:]),
    )
