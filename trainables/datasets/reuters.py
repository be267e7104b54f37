"""Reuters: newswires of one topic each, under a stated rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from trainables.datasets.corpus import Corpus, gather, text_document
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.glove import DIMENSION, check_glove, find_glove
from trainables.datasets.reuters_keras import NEWSWIRES, WORD_INDEX, check_keras, read_keras
from trainables.datasets.reuters_sgm import ARCHIVE, Newswire, read_newswires
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.text_settings import TextSettings
from trainables.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a rule leaves of Reuters."""

    n_classes: int
    n_train: int
    n_test: int


RULES: Mapping[str, Counts] = MappingProxyType(
    {
        "modapte_single": Counts(n_classes=52, n_train=6532, n_test=2568),
        "keras": Counts(n_classes=46, n_train=8982, n_test=2246),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    val_size: int = 1000
    test_size: int | None = None
    length: int = 400
    rule: Literal["modapte_single", "keras"] = "modapte_single"

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading."""
        n_classes = RULES[self.rule].n_classes
        return DatasetInfo(
            n_classes=n_classes, input_shape=(DIMENSION, self.length), domain="text"
        )

    @property
    def label(self) -> str:
        """Name the dataset as results must: with its rule."""
        return f"{self.name} ({self.rule})"

    def check(self, folders: DataFolders) -> None:
        """Check the sizes, the newswires and the vectors.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        counts = RULES[self.rule]
        self.check_sizes(counts.n_train, counts.n_test, counts.n_classes)
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
        pool, test = self.encoded(folders, identity, lambda: self._read(home))
        return self.split(pool, test, replica_seed)

    def _read(self, home: Path) -> Corpus:
        if self.rule == "keras":
            return _counted(self.rule, home / NEWSWIRES, read_keras(home))
        return _counted(self.rule, home / ARCHIVE, modapte_single(read_newswires(home / ARCHIVE)))


def modapte_single(newswires: Sequence[Newswire]) -> Corpus:
    """Choose the newswires of the rule ``modapte_single``; see :class:`Reuters`."""
    parts = [
        [one for one in newswires if one.part == part and len(one.topics) == 1]
        for part in ("train", "test")
    ]
    train, test = ({one.topics[0] for one in part} for part in parts)
    topics = sorted(train & test)
    return gather(
        *(
            [
                text_document(o.text, topics.index(o.topics[0]))
                for o in part
                if o.topics[0] in topics
            ]
            for part in parts
        )
    )


def _counted(rule: str, path: Path, corpus: Corpus) -> Corpus:
    found = Counts(
        n_classes=len(np.unique(corpus.targets)),
        n_train=corpus.n_train,
        n_test=len(corpus.targets) - corpus.n_train,
    )
    if found != RULES[rule]:
        raise DataError(
            f"{path} gives {_said(found)} under rule {rule!r}, where {_said(RULES[rule])} belong; "
            "replace it by a fresh copy."
        )
    return corpus


def _said(counts: Counts) -> str:
    return f"{counts.n_classes} topics, {counts.n_train} and {counts.n_test} newswires"


def _fingerprint(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
