"""Texts as sequences of word vectors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.builders import message
from tests.trainables.datasets.small_texts import put_glove, put_packed_glove, vectors_of
from trainables.datasets import DataFolders, Newsgroups20, TokenSamples
from trainables.datasets.glove import WordVectors
from trainables.datasets.text import (
    Corpus,
    Document,
    build_corpus,
    frequent_words,
    pad_or_truncate,
    split_words,
    tokenize_document,
    vector_rows,
)
from trainables.decoding import record
from trainables.errors import DataError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t ", []),
        ("The CAT\nsat", ["the", "cat", "sat"]),
        ("it's a well-known U.S. trade_deficit", ["it's", "a", "well", "known", "u", "s"]),
        ("1,750 to 1.780 dlrs", ["1", "750", "to", "1", "780", "dlrs"]),
        ("Zürich\xa0Straße\fend", ["zürich", "straße", "end"]),
    ],
)
def test_words_are_lower_case_between_white_space_and_punctuation(text, words):
    assert split_words(text)[: len(words) or None] == words


def test_every_character_that_keras_filters_separates_and_no_other_does():
    filtered = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
    printable = [chr(code) for code in range(33, 127)] + ["\t", "\n"]
    separates = {sign for sign in printable if split_words(f"a{sign}b") == ["a", "b"]}
    assert separates == set(filtered)
    assert "'" not in separates


def test_words_are_numbered_as_they_first_occur():
    corpus = build_corpus(
        iter([tokenize_document("b a b", 1), tokenize_document("", 0)]),
        [Document(words=["c", "a"], target=2)],
    )
    assert corpus.words == ("b", "a", "c")
    assert corpus.ids.tolist() == [0, 1, 0, 2, 1]
    assert corpus.lengths.tolist() == [3, 0, 2]
    assert corpus.targets.tolist() == [1, 0, 2]
    assert corpus.n_train == 2
    assert corpus.ids.dtype == np.int32


def test_a_text_becomes_the_words_of_a_document():
    assert tokenize_document("Oil, oil!", 3) == Document(words=["oil", "oil"], target=3)


def corpus_of(*texts: str, n_train: int | None = None) -> Corpus:
    documents = [Document(words=text.split(), target=0) for text in texts]
    n_train = len(documents) if n_train is None else n_train
    return build_corpus(documents[:n_train], documents[n_train:])


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
    return pad_or_truncate(corpus, rows, length, truncate).tolist()


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
    made = pad_or_truncate(corpus, np.array([largest]), 2, "end")
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


WORDS = ["oil", "price", "rises", "falls"]
TRAIN = ["Oil price rises!", "oil, oil. The price", "gold"]
TEST = ["gold falls; gold and gold and gold", "oil"]


@record
class Texts(Newsgroups20):
    """A corpus in memory."""

    name: ClassVar[str] = "texts"

    def documents(self, folders: DataFolders) -> tuple[TokenSamples, TokenSamples]:
        """Encode the five texts."""
        return self.tokenized(folders, ["five"], self.read)

    def read(self) -> Corpus:
        """Return the corpus."""
        return build_corpus(
            [tokenize_document(text, target) for target, text in enumerate(TRAIN)],
            [tokenize_document(text, 0) for text in TEST],
        )


@pytest.fixture
def folders(tmp_path) -> DataFolders:
    put_glove(tmp_path / "root", WORDS)
    return DataFolders(root=tmp_path / "root", cache=tmp_path / "cache")


def spelled(samples: TokenSamples) -> list[str]:
    """Read tokens back by their vectors; a dot is a position without one."""
    table = {tuple(row): word for row, word in zip(vectors_of(WORDS).tolist(), WORDS, strict=True)}
    vectors = samples.vectors[samples.tokens.long()].tolist()
    return [" ".join(table.get(tuple(vector), ".") for vector in text) for text in vectors]


def unread(_settings: Texts) -> Corpus:
    raise AssertionError("the corpus was read")


def test_texts_become_vectors_cut_and_padded(folders):
    train, test = Texts(length=3).documents(folders)
    assert spelled(train) == ["oil price rises", "oil oil .", ". . ."]
    # "gold" has no vector but occurs in training; "falls" and "and" do not.
    assert spelled(test) == [". . .", "oil . ."]
    assert train.targets.tolist() == [0, 1, 2]
    assert test.targets.tolist() == [0, 0]
    assert train.tokens.dtype == torch.int16
    assert train.vectors is test.vectors
    assert train.vectors.dtype == torch.float32
    assert (train.vectors[0] == 0).all()


def test_the_start_of_a_text_is_cut_off_on_demand(folders):
    train, _ = Texts(length=2, truncate="start").documents(folders)
    assert spelled(train) == ["price rises", ". price", ". ."]


def test_words_of_test_documents_count_on_demand(folders):
    _, test = Texts(length=4, vocabulary_from="all").documents(folders)
    # All four first words are known now, of which "gold" has no vector.
    assert spelled(test) == [". falls . .", "oil . . ."]
    # "gold" is then more frequent than "price".
    train, _ = Texts(length=4, vocabulary=2, vocabulary_from="all").documents(folders)
    assert spelled(train)[0] == "oil . . ."


def test_only_the_most_frequent_words_are_kept(folders):
    train, _ = Texts(length=4, vocabulary=2).documents(folders)
    assert spelled(train) == ["oil price . .", "oil oil price .", ". . . ."]
    assert len(train.vectors) == 3


def test_a_corpus_is_read_once_for_equal_settings_and_vectors(folders, monkeypatch):
    first, _ = Texts(length=3).documents(folders)
    (kept,) = (folders.cache / "texts").iterdir()
    for different in (
        Texts(length=4),
        Texts(length=3, vocabulary=2),
        Texts(length=3, truncate="start"),
        Texts(length=3, vocabulary_from="all"),
    ):
        different.documents(folders)
    assert len(list((folders.cache / "texts").iterdir())) == 5
    # Sizes and seeds of the splits are drawn later.
    monkeypatch.setattr(Texts, "read", unread)
    again, _ = Texts(length=3, train_size=1, subset_seed=3).documents(folders)
    assert torch.equal(again.tokens, first.tokens)
    assert kept.exists()
    put_packed_glove(folders.root, WORDS)
    (folders.root / "glove" / "glove.6B.100d.txt").unlink()
    with pytest.raises(AssertionError, match="was read"):  # the vectors are others
        Texts(length=3).documents(folders)


def test_other_vectors_in_a_file_of_the_same_name_are_read(folders):
    before, _ = Texts(length=3).documents(folders)
    put_glove(folders.root, ["and", *WORDS])
    after, _ = Texts(length=3).documents(folders)
    assert torch.equal(before.tokens, after.tokens)
    assert not torch.equal(before.vectors, after.vectors)


def test_without_vectors_nothing_is_read(folders, monkeypatch):
    (folders.root / "glove" / "glove.6B.100d.txt").unlink()
    monkeypatch.setattr(Texts, "read", unread)
    assert message(DataError, lambda: Texts().documents(folders)).startswith(
        f"{folders.root / 'glove'} holds no word vectors, "
    )


def test_vectors_of_other_words_are_refused(folders):
    path = put_glove(folders.root, ["öl", "preis"])
    assert message(DataError, lambda: Texts().documents(folders)) == (
        f"{path} has a vector for none of the 5 words of 'texts'; replace it by vectors of "
        "English words."
    )
    assert not folders.cache.exists()
