"""Words of a text, as Keras' old Tokenizer found them."""

from __future__ import annotations

# Its default ``filters``; the apostrophe is no part of them, so that "don't" is one word.
_FILTERED = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_TO_SPACES = str.maketrans(_FILTERED, " " * len(_FILTERED))


def split_words(text: str) -> list[str]:
    r"""Split a text into words: lower case, punctuation out, split at white space.

    Equal to ``keras.preprocessing.text.text_to_word_sequence``, but that it splits at spaces
    alone and leaves rare white space, such as a form feed, inside a word.

    Example:
        >>> split_words("From: me@here.org -- Don't\tpanic!")
        ['from', 'me', 'here', 'org', "don't", 'panic']
    """
    return text.lower().translate(_TO_SPACES).split()
