from __future__ import annotations

import pytest

from trainables.datasets.words import split_words


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
