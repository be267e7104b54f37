"""Reuters-21578: newswires of one topic each, in the ModApte split or in Keras' copy."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from trainables.datasets.archives import archived_files
from trainables.datasets.data_files import check_file, dataset_folder
from trainables.datasets.glove import DIMENSION, check_glove, find_glove
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.text import (
    Corpus,
    Document,
    Length,
    TextSettings,
    build_corpus,
    tokenize_document,
)
from trainables.decoding import record
from trainables.errors import DataError
from trainables.fields import Size

ARCHIVE = "reuters21578.tar.gz"
# README.txt of the collection, sections I and VIII.B.
_N_NEWSWIRES, _N_TRAIN, _N_TEST = 21_578, 9603, 3299

_NEWSWIRE = re.compile(r"<REUTERS (.*?)>(.*?)</REUTERS>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="(.*?)"')
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>")
_TOPIC = re.compile(r"<D>(.*?)</D>")
_TEXT = re.compile(r"<TEXT.*?>(.*?)</TEXT>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newswire:
    """One newswire.

    Attributes:
        number: Its NEWID, from 1 in order of time.
        part: Its part of the ModApte split.
        topics: Its topics, from none to many.
        text: Author, dateline, title and body, as far as it has them.
    """

    number: int
    part: Literal["train", "test", "unused"]
    topics: tuple[str, ...]
    text: str


def read_newswires(archive: Path) -> list[Newswire]:
    """Read all newswires in order of their number.

    No checksum of the archive was published; instead every newswire must occur once, and the
    ModApte split must have the sizes of its README.

    Raises:
        DataError: If the archive is missing, truncated or altered.
    """
    if not archive.is_file():
        raise DataError(
            f"{archive} is missing; put {ARCHIVE} with the 22 sgm files there, or name another "
            "data root with --data-root or CHALLENGER_DATA."
        )
    newswires = [
        newswire
        for file in archived_files(archive)
        if file.name.endswith(".sgm")
        for newswire in parse_newswires(file.read().decode("latin-1"))
    ]
    newswires.sort(key=lambda one: one.number)
    complete = [one.number for one in newswires] == list(range(1, _N_NEWSWIRES + 1))
    parts = [one.part for one in newswires]
    sizes = (len(newswires), parts.count("train"), parts.count("test"))
    if not complete or sizes != (_N_NEWSWIRES, _N_TRAIN, _N_TEST):
        raise DataError(
            f"{archive} holds {sizes[0]} newswires, {sizes[1]} for training and {sizes[2]} for "
            f"testing, where {_N_NEWSWIRES} with different numbers, {_N_TRAIN} and {_N_TEST} "
            "belong; replace it by a fresh copy."
        )
    return newswires


def parse_newswires(text: str) -> Iterator[Newswire]:
    """Parse the newswires of one sgm file."""
    for newswire in _NEWSWIRE.finditer(text):
        attributes = dict(_ATTRIBUTE.findall(newswire[1]))
        topics, body = _TOPICS.search(newswire[2]), _TEXT.search(newswire[2])
        yield Newswire(
            number=int(attributes["NEWID"]),
            part=_part(attributes["LEWISSPLIT"], attributes["TOPICS"]),
            topics=tuple(_TOPIC.findall(topics[1])) if topics else (),
            # Control characters are written as references without a meaning.
            text=html.unescape(_TAG.sub(" ", body[1])) if body else "",
        )


def _part(lewis_split: str, indexed: str) -> Literal["train", "test", "unused"]:
    # The attribute TOPICS states whether the newswire was indexed, not whether it has topics.
    if indexed == "YES" and lewis_split == "TRAIN":
        return "train"
    return "test" if indexed == "YES" and lewis_split == "TEST" else "unused"


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

    The numbers in the file are those of the word index. The numbers from ``load_data()`` are
    higher by its ``index_from`` of 3, for padding, start and unknown words.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    check_keras(home)
    # The arrays are Python pickles, which can run code when loaded: only a file with the
    # published checksum is loaded.
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
    return build_corpus(documents[:n_train], documents[n_train:])


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSizes:
    """Numbers of topics and newswires of a rule."""

    n_classes: int
    n_train: int
    n_test: int


RULES: Mapping[str, RuleSizes] = MappingProxyType(
    {
        "modapte_single": RuleSizes(n_classes=52, n_train=6532, n_test=2568),
        "keras": RuleSizes(n_classes=46, n_train=8982, n_test=2246),
    }
)


@record
class Reuters(TextSettings):
    """Newswires of one topic each as GloVe vectors, or a subset of any size.

    ``modapte_single``: the ModApte split of Reuters-21578, of which the newswires with exactly
    one topic stay, and of those the ones whose topic then occurs among the training and among
    the test newswires; 52 topics in alphabetical order, 6,532 and 2,568 newswires, the
    literature's "R52". The text is author, dateline, title and body. Four topics have one or two
    training newswires each, so subsets are drawn with ``train_size``.

    ``keras``: the set of ``keras.datasets.reuters``, 46 topics, 8,982 and 2,246 newswires, drawn
    at random as Keras draws them. The paper's number of topics; results of the two rules are not
    comparable, and each must be named with its rule (``label``).

    Below ``reuters/`` the data root holds ``reuters21578.tar.gz``, or ``reuters.npz`` and
    ``reuters_word_index.json``; below ``glove/`` the vectors. The most frequent topic, "earn",
    has 43 % of the training newswires under the first rule.

    Attributes:
        rule: Which newswires, and which topics.
    """

    name: ClassVar[str] = "reuters"
    val_size: Size = 1000
    test_size: Size | None = None
    length: Length = 400
    rule: Literal["modapte_single", "keras"] = "modapte_single"

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading."""
        n_classes = RULES[self.rule].n_classes
        return DatasetInfo(
            n_classes=n_classes, input_shape=(DIMENSION, self.length), domain="text"
        )

    @property
    def label(self) -> str:
        """The dataset's name in results, with its rule."""
        return f"{self.name} ({self.rule})"

    @property
    def pool_size(self) -> int:
        """Samples for training and validation."""
        return RULES[self.rule].n_train

    def check(self, folders: DataFolders) -> None:
        """Check the sizes, the newswires and the vectors.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        counts = RULES[self.rule]
        self.check_sizes(self.pool_size, counts.n_test, counts.n_classes)
        home = dataset_folder(folders, self.name)
        if self.rule == "keras":
            check_keras(home)
        else:
            read_newswires(home / ARCHIVE)
        check_glove(find_glove(folders))

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read and split."""
        home = dataset_folder(folders, self.name)
        files = (NEWSWIRES, WORD_INDEX) if self.rule == "keras" else (ARCHIVE,)
        identity = [self.rule, *(_fingerprint(home / file) for file in files)]
        pool, test = self.tokenized(folders, identity, lambda: self._read(home))
        return self.split(pool, test, replica_seed)

    def _read(self, home: Path) -> Corpus:
        if self.rule == "keras":
            return _check_sizes(self.rule, home / NEWSWIRES, read_keras(home))
        return _check_sizes(
            self.rule, home / ARCHIVE, modapte_single(read_newswires(home / ARCHIVE))
        )


def modapte_single(newswires: Sequence[Newswire]) -> Corpus:
    """Select the newswires of the rule ``modapte_single``; see :class:`Reuters`."""
    parts = [
        [one for one in newswires if one.part == part and len(one.topics) == 1]
        for part in ("train", "test")
    ]
    train, test = ({one.topics[0] for one in part} for part in parts)
    topics = sorted(train & test)
    return build_corpus(
        *(
            [
                tokenize_document(o.text, topics.index(o.topics[0]))
                for o in part
                if o.topics[0] in topics
            ]
            for part in parts
        )
    )


def _check_sizes(rule: str, path: Path, corpus: Corpus) -> Corpus:
    found = RuleSizes(
        n_classes=len(np.unique(corpus.targets)),
        n_train=corpus.n_train,
        n_test=len(corpus.targets) - corpus.n_train,
    )
    if found != RULES[rule]:
        raise DataError(
            f"{path} gives {_format_sizes(found)} under rule {rule!r}, where "
            f"{_format_sizes(RULES[rule])} belong; replace it by a fresh copy."
        )
    return corpus


def _format_sizes(counts: RuleSizes) -> str:
    return f"{counts.n_classes} topics, {counts.n_train} and {counts.n_test} newswires"


def _fingerprint(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
