from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tests.trainables.builders import message
from trainables.datasets import DataFolders, Reuters, reuters
from trainables.datasets.reuters import check_keras, read_keras
from trainables.datasets.text import Corpus
from trainables.errors import DataError

SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
MD5 = "4d44cc38712099c9e383dc6e5f11a921"
# Numbered by frequency from 1, as in Keras' index; eight words, so that a word three further on
# is another word and not merely none.
INDEX = {
    word: i for i, word in enumerate(["the", "of", "oil", "mln", "bp", "gas", "yen", "tin"], 1)
}
N = 50


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Write 50 newswires as Keras does."""
    source = np.random.default_rng(0)
    newswires = np.empty(N, dtype=object)
    for i in range(N):
        newswires[i] = source.integers(1, 9, size=source.integers(0, 6)).tolist()
    np.savez(tmp_path / "reuters.npz", x=newswires, y=source.integers(0, 46, size=N))
    (tmp_path / "reuters_word_index.json").write_text(json.dumps(INDEX), encoding="utf-8")
    publish(tmp_path, monkeypatch)
    return tmp_path


def publish(home, monkeypatch) -> None:
    """Take the files in a folder for the published ones."""
    digests = {
        "_NEWSWIRES_SHA256": hashlib.sha256((home / "reuters.npz").read_bytes()).hexdigest(),
        "_WORD_INDEX_MD5": hashlib.md5(
            (home / "reuters_word_index.json").read_bytes()
        ).hexdigest(),
    }
    for name, value in digests.items():
        monkeypatch.setattr(reuters, name, value)


def keras_load_data(path):
    """Do what ``keras.datasets.reuters.load_data()`` does by default, word by word.

    Keras 3.0, ``keras/datasets/reuters.py``: shuffle by seed 113, put 1 in front, add 3 to every
    number, and split off the last fifth.
    """
    with np.load(path, allow_pickle=True) as file:
        xs, labels = file["x"], file["y"]
    rng = np.random.RandomState(113)
    indices = np.arange(len(xs))
    rng.shuffle(indices)
    xs, labels = xs[indices], labels[indices]
    xs = [[1] + [w + 3 for w in x] for x in xs]
    idx = int(len(xs) * (1 - 0.2))
    return (xs[:idx], labels[:idx]), (xs[idx:], labels[idx:])


def texts(corpus: Corpus) -> list[list[str]]:
    ends = np.cumsum(corpus.lengths)
    return [
        [corpus.words[i] for i in corpus.ids[end - length : end]]
        for end, length in zip(ends, corpus.lengths, strict=True)
    ]


def test_words_topics_and_split_are_those_of_keras(home):
    (x_train, y_train), (x_test, y_test) = keras_load_data(home / "reuters.npz")
    word_of = {number: word for word, number in INDEX.items()}
    # As every tutorial decodes them: 0, 1 and 2 are no words.
    decoded = [[word_of[i - 3] for i in x if i > 3] for x in [*x_train, *x_test]]
    corpus = read_keras(home)
    assert texts(corpus) == decoded
    assert corpus.targets.tolist() == [*y_train, *y_test]
    assert corpus.n_train == len(x_train) == 40


def test_a_number_of_the_file_is_that_of_the_index(home, monkeypatch):
    newswires = np.empty(5, dtype=object)
    newswires[:] = [[3, 5]] * 5
    np.savez(home / "reuters.npz", x=newswires, y=np.zeros(5, dtype=int))
    publish(home, monkeypatch)
    assert texts(read_keras(home)) == [["oil", "bp"]] * 5


def test_a_number_without_a_word_is_left_out(home, monkeypatch):
    newswires = np.empty(5, dtype=object)
    newswires[:] = [[3, 99, 1]] * 5
    np.savez(home / "reuters.npz", x=newswires, y=np.zeros(5, dtype=int))
    publish(home, monkeypatch)
    assert texts(read_keras(home)) == [["oil", "the"]] * 5


@pytest.mark.parametrize("use", [check_keras, read_keras])
def test_other_newswires_are_refused_before_they_are_unpickled(home, monkeypatch, use):
    monkeypatch.setattr(np, "load", None)
    path = home / "reuters.npz"
    monkeypatch.setattr(reuters, "_NEWSWIRES_SHA256", SHA256)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert message(DataError, lambda: use(home)) == (
        f"{path} is damaged: its sha256 should be {SHA256}, but is {found} "
        f"({path.stat().st_size} bytes); replace it by a fresh copy."
    )
    path.unlink()
    assert message(DataError, lambda: use(home)) == (
        f"{path} is missing; put the file with sha256 {SHA256} there, choose rule "
        "'modapte_single', or name another data root with --data-root or CHALLENGER_DATA."
    )


@pytest.mark.parametrize("use", [check_keras, read_keras])
def test_the_index_has_a_checksum_of_its_own(home, monkeypatch, use):
    path = home / "reuters_word_index.json"
    monkeypatch.setattr(reuters, "_WORD_INDEX_MD5", MD5)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    assert message(DataError, lambda: use(home)) == (
        f"{path} is damaged: its md5 should be {MD5}, but is {found} "
        f"({path.stat().st_size} bytes); replace it by a fresh copy."
    )
    path.unlink()
    assert message(DataError, lambda: use(home)) == (
        f"{path} is missing; put the file with md5 {MD5} there, or name another data root with "
        "--data-root or CHALLENGER_DATA."
    )


@pytest.mark.data
def test_the_real_set_has_46_topics(challenger_data, tmp_path):
    if not (challenger_data / "reuters" / "reuters.npz").is_file():
        pytest.skip("the data root does not hold Keras' copy of Reuters")
    splits = Reuters(rule="keras").load(DataFolders(root=challenger_data, cache=tmp_path), 0)
    assert (len(splits.train) + len(splits.val), len(splits.test)) == (8982, 2246)
