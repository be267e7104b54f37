"""Keras' copy of Reuters: 11,228 newswires of 46 topics, as numbers of words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from trainables.datasets.corpus import Corpus, Document, gather
from trainables.datasets.data_files import check_file
from trainables.errors import DataError

NEWSWIRES, WORD_INDEX = "reuters.npz", "reuters_word_index.json"
# Keras' own checksums.
_NEWSWIRES_SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_WORD_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"

# The defaults of ``keras.datasets.reuters.load_data``.
_SEED, _TEST_SPLIT = 113, 0.2


def check_keras(home: Path) -> None:
    """Check the checksums of both files.

    Raises:
        DataError: If one is missing, truncated or altered.
    """
    path = home / NEWSWIRES
    if not path.is_file():
        raise DataError(
            f"{path} is missing; put the file with sha256 {_NEWSWIRES_SHA256} there, choose "
            "rule 'modapte_single', or name another data root with --data-root or "
            "CHALLENGER_DATA."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _NEWSWIRES_SHA256:
        raise DataError(
            f"{path} is damaged: its sha256 should be {_NEWSWIRES_SHA256}, but is {found} "
            f"({path.stat().st_size} bytes); replace it by a fresh copy."
        )
    check_file(home / WORD_INDEX, _WORD_INDEX_MD5)


def read_keras(home: Path) -> Corpus:
    """Read the newswires in the order and the split of Keras' ``load_data()``.

    A number in the file is the one that the word index gives the word. What ``load_data()``
    returns is higher by its ``index_from`` of 3, since it keeps 0, 1 and 2 for padding, start
    and unknown words; who looks those up without subtracting 3 gets another word for each.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    check_keras(home)
    # The arrays are Python pickles, which may run anything when loaded: only a file with the
    # published checksum is.
    with np.load(home / NEWSWIRES, allow_pickle=True) as arrays:
        newswires, topics = arrays["x"], arrays["y"]
    index = json.loads((home / WORD_INDEX).read_text("utf-8"))
    word_of = {number: word for word, number in index.items()}
    order = np.arange(len(newswires))
    np.random.RandomState(_SEED).shuffle(order)
    documents = [
        Document(
            words=[word_of[number] for number in newswires[i] if number in word_of],
            target=int(topics[i]),
        )
        for i in order
    ]
    n_train = int(len(documents) * (1 - _TEST_SPLIT))
    return gather(documents[:n_train], documents[n_train:])
