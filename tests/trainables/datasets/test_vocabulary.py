from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.datasets.corpus import Corpus, Document, gather
from trainables.datasets.glove import WordVectors
from trainables.datasets.vocabulary import frequent_words, padded, vector_rows


def corpus_of(*texts: str, n_train: int | None = None) -> Corpus:
    documents = [Document(words=text.split(), target=0) for text in texts]
    n_train = len(documents) if n_train is None else n_train
    return gather(documents[:n_train], documents[n_train:])


def known(*words: str) -> WordVectors:
    vectors = np.arange(1, len(words) + 1, dtype=np.float32)[:, None].repeat(100, axis=1)
    return WordVectors(words=words, vectors=vectors)


def chosen(corpus: Corpus, size: int, counted: str = "train") -> list[str]:
    return [corpus.words[i] for i in frequent_words(corpus, size, counted)]


def test_the_most_frequent_words_are_chosen_and_equals_as_they_first_occur():
    corpus = corpus_of("c b a", "a d d e", "d")
    assert chosen(corpus, 4) == ["d", "a", "c", "b"]
    assert chosen(corpus, 99) == ["d", "a", "c", "b", "e"]


def test_test_documents_count_only_where_all_do():
    corpus = corpus_of("a b b", "c c c a a a", n_train=1)
    assert chosen(corpus, 9, "train") == ["b", "a"]
    assert chosen(corpus, 9, "all") == ["a", "c", "b"]
    assert chosen(corpus, 1, "all") == ["a"]


def test_a_word_is_dropped_or_without_a_vector_or_has_the_row_of_its_own():
    corpus = corpus_of("x y z w")
    words, vectors = vector_rows(corpus, frequent_words(corpus, 3, "train"), known("z", "q", "x"))
    assert dict(zip(corpus.words, words, strict=True)) == {"x": 1, "y": 0, "z": 2, "w": -1}
    assert vectors[:, 0].tolist() == [0, 3, 1]
    assert vectors.shape == (3, 100)
    assert vectors.dtype == np.float32


def tokens(texts: list[str], size: int, length: int, truncate: str = "end") -> list[list[int]]:
    corpus = corpus_of(*texts)
    rows, _ = vector_rows(corpus, frequent_words(corpus, size, "train"), known(*"abcde"))
    return padded(corpus, rows, length, truncate).tolist()


def test_short_texts_are_padded_behind_their_end_and_long_ones_cut():
    texts = ["a b c d", "b", "", "a b c"]
    # By frequency: b (3) is row 1, a and c (2) are rows 2 and 3, d is row 4.
    assert tokens(texts, 9, 3) == [[2, 1, 3], [1, 0, 0], [0, 0, 0], [2, 1, 3]]
    assert tokens(texts, 9, 3, "start") == [[1, 3, 4], [1, 0, 0], [0, 0, 0], [2, 1, 3]]


def test_words_beyond_the_vocabulary_are_dropped_before_texts_are_cut():
    assert tokens(["d a d b c", "a b b a"], 2, 3) == [[1, 2, 0], [1, 2, 2]]


def test_words_without_a_vector_keep_their_position():
    assert tokens(["? a ? b ?"], 9, 5) == [[0, 1, 0, 2, 0]]


@pytest.mark.parametrize(
    ("largest", "kind"), [(0, np.int16), (32_767, np.int16), (32_768, np.int32)]
)
def test_tokens_are_as_small_as_they_can_be(largest, kind):
    corpus = corpus_of("a")
    made = padded(corpus, np.array([largest]), 2, "end")
    assert made.dtype == kind
    assert made.tolist() == [[largest, 0]]


TEXTS = st.lists(st.lists(st.sampled_from("abcde?!"), max_size=7).map(" ".join), min_size=1)


@given(
    texts=TEXTS,
    size=st.integers(1, 9),
    length=st.integers(1, 6),
    truncate=st.sampled_from(["end", "start"]),
)
def test_each_row_is_what_is_left_of_its_text_word_by_word(texts, size, length, truncate):
    corpus = corpus_of(*texts)
    kept = chosen(corpus, size)
    row = {word: place for place, word in enumerate([w for w in kept if w in "abcde"], start=1)}
    expected = []
    for text in texts:
        line = [row.get(word, 0) for word in text.split() if word in kept]
        line = line[:length] if truncate == "end" else line[-length:]
        expected.append(line + [0] * (length - len(line)))
    assert tokens(texts, size, length, truncate) == expected
