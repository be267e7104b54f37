from __future__ import annotations

import numpy as np

from trainables.datasets.corpus import Document, gather, text_document


def test_words_are_numbered_as_they_first_occur():
    corpus = gather(
        iter([text_document("b a b", 1), text_document("", 0)]),
        [Document(words=["c", "a"], target=2)],
    )
    assert corpus.words == ("b", "a", "c")
    assert corpus.ids.tolist() == [0, 1, 0, 2, 1]
    assert corpus.lengths.tolist() == [3, 0, 2]
    assert corpus.targets.tolist() == [1, 0, 2]
    assert corpus.n_train == 2
    assert corpus.ids.dtype == np.int32


def test_a_text_becomes_the_words_of_a_document():
    assert text_document("Oil, oil!", 3) == Document(words=["oil", "oil"], target=3)
