"""The words that are kept of a corpus, and its documents as rows of their vectors."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Int, Int64

from trainables.datasets.corpus import Corpus
from trainables.datasets.glove import WordVectors

Counted: TypeAlias = Literal["train", "all"]
Cut: TypeAlias = Literal["end", "start"]

_DROPPED = -1


def frequent_words(corpus: Corpus, size: int, counted: Counted) -> Int64[np.ndarray, " chosen"]:
    """Choose the most frequent words of a corpus.

    Args:
        corpus: Documents.
        size: Number of words, or fewer if there are no more.
        counted: Whether words count in the ``train`` documents alone or in ``all``.

    Returns:
        Indices into ``corpus.words``, the most frequent first, those of equal frequency in order
        of their first occurrence.
    """
    end = corpus.lengths[: corpus.n_train].sum() if counted == "train" else len(corpus.ids)
    counts = np.bincount(corpus.ids[:end], minlength=len(corpus.words))
    order = np.argsort(-counts, kind="stable")[:size]
    return order[counts[order] > 0]


def vector_rows(
    corpus: Corpus, chosen: Int64[np.ndarray, " chosen"], known: WordVectors
) -> tuple[Int64[np.ndarray, " word"], Float32[np.ndarray, "row dimension"]]:
    """Give each word of a corpus the row of its vector.

    Returns:
        Per word of the corpus its row, 0 for a chosen word without a vector, and -1 for a word
        that is not chosen; and the rows, of which row 0 is zero.
    """
    place = {word: index for index, word in enumerate(known.words)}
    found = [(word, place[corpus.words[word]]) for word in chosen if corpus.words[word] in place]
    rows = np.full(len(corpus.words), _DROPPED, dtype=np.int64)
    rows[chosen] = 0
    rows[[word for word, _ in found]] = np.arange(1, len(found) + 1)
    vectors = np.zeros((len(found) + 1, known.vectors.shape[1]), dtype=np.float32)
    vectors[1:] = known.vectors[[index for _, index in found]]
    return rows, vectors


def padded(
    corpus: Corpus, rows: Int64[np.ndarray, " word"], length: int, truncate: Cut
) -> Int[np.ndarray, "document length"]:
    """Write documents as rows of equal length: dropped words out, too long ones cut, then 0.

    Args:
        corpus: Documents.
        rows: Row per word of the corpus; words of row -1 are dropped before anything is cut.
        length: Number of words that are kept.
        truncate: Which part of a longer document is cut off.

    Returns:
        int16 if that suffices, else int32.
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
