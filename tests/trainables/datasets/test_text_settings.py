from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from tests.trainables.datasets.small_texts import put_glove, put_packed_glove, vectors_of
from trainables.datasets import DataFolders, TokenSamples
from trainables.datasets.corpus import Corpus, gather, text_document
from trainables.datasets.text_settings import TextSettings
from trainables.errors import ConfigError, DataError

WORDS = ["oil", "price", "rises", "falls"]
TRAIN = ["Oil price rises!", "oil, oil. The price", "gold"]
TEST = ["gold falls; gold and gold and gold", "oil"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts(TextSettings):
    """A corpus in memory."""

    name: ClassVar[str] = "texts"

    def documents(self, folders: DataFolders) -> tuple[TokenSamples, TokenSamples]:
        """Encode the five texts."""
        return self.encoded(folders, ["five"], self.read)

    def read(self) -> Corpus:
        """Give the corpus."""
        return gather(
            [text_document(text, target) for target, text in enumerate(TRAIN)],
            [text_document(text, 0) for text in TEST],
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


def message(error: type[Exception], call) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


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


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Texts(length=0), "length must be at least 1, got 0."),
        (lambda: Texts(vocabulary=0), "vocabulary must be at least 1, got 0."),
        (lambda: Texts(val_size=0), "val_size must be at least 1, got 0."),
    ],
)
def test_what_is_out_of_range_is_refused(build, said):
    assert message(ConfigError, build) == said
