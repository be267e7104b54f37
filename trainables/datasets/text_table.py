"""Texts with a label each in tables: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from trainables.datasets.glove import DIMENSION, find_glove, read_glove
from trainables.datasets.reader import Listing, Reader, encode_labels
from trainables.datasets.samples import Samples, TokenSamples
from trainables.datasets.splits import DataFolders, DatasetInfo
from trainables.datasets.subset import SplitIndices
from trainables.datasets.text import (
    Document,
    Length,
    build_corpus,
    frequent_words,
    pad_or_truncate,
    split_words,
    vector_rows,
)
from trainables.datasets.user_paths import UserPath
from trainables.decoding import record
from trainables.errors import DataError
from trainables.names import printable, suggestion

_LONGEST_FIELD = 16 << 20


@record
class TextTable(Reader):
    """A row per text, with a column of texts and one of labels, as GloVe vectors.

    Files end in .csv, .tsv, .jsonl or .parquet and are UTF-8. The vocabulary is that of the
    training texts; words without a vector stay as positions without one. The data root holds
    GloVe's vectors (``data fetch glove``).

    Attributes:
        train: File of the training texts, relative to the study file.
        val: File of the validation texts; null to draw ``val_size`` from the training texts.
        test: File of the test texts; null to draw ``test_size`` from the training texts.
        text: Name of the column of texts.
        label: Name of the column of labels.
        length: Number of words of a text that a model sees.
        vocabulary: Number of words that are kept, the most frequent ones.
        truncate: Which part of a longer text is cut off.
    """

    name: ClassVar[str] = "text_table"
    train: UserPath
    val: UserPath | None = None
    test: UserPath | None = None
    text: Annotated[str, Field(min_length=1, max_length=200)] = "text"
    label: Annotated[str, Field(min_length=1, max_length=200)] = "label"
    length: Length = 200
    vocabulary: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    truncate: Literal["end", "start"] = "end"

    @property
    def source(self) -> Path:
        """The file of the training texts."""
        return Path(self.train)

    def _read_listing(self) -> Listing:
        files = {0: self.train, 1: self.val, 2: self.test}
        texts: list[str] = []
        labels: list[str] = []
        places: list[str] = []
        splits: list[int] = []
        for number, file in files.items():
            if file is None:
                continue
            for row, (text, label) in enumerate(self._rows(Path(file)), start=1):
                places.append(f"{file}: row {row}")
                if not split_words(text):
                    raise DataError(
                        f"{places[-1]} must have words in column {self.text!r}, but has none; "
                        "correct or remove it."
                    )
                texts.append(text)
                labels.append(label.strip())
                splits.append(number)
        if not texts:
            raise DataError(f"{self.train} must have rows behind its heads, but has none.")
        classes, targets = encode_labels(labels, places.__getitem__)
        return Listing(
            classes=classes,
            targets=targets,
            splits=torch.tensor(splits),
            given=frozenset(k for k, file in (("val", self.val), ("test", self.test)) if file),
            info=DatasetInfo(
                n_classes=len(classes), input_shape=(DIMENSION, self.length), domain="text"
            ),
            place=places.__getitem__,
            content="\0".join(texts),
            extra=texts,
        )

    def _rows(self, file: Path) -> Iterator[tuple[str, str]]:
        readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
        read = readers.get(file.suffix.lower())
        if read is None:
            raise DataError(f"{file} must end in {', '.join(readers)}; convert or rename it.")
        try:
            for row, values in enumerate(read(file), start=1):
                cells = []
                for column in (self.text, self.label):
                    if values.get(column) is None:
                        hint = suggestion(column, (str(key) for key in values if key is not None))
                        raise DataError(
                            f"{file}: row {row} must have a value in column {column!r}, but has "
                            f"none; {hint}"
                        )
                    cells.append(str(values[column]))
                yield cells[0], cells[1]
        except FileNotFoundError as error:
            raise DataError(
                f"{file} is missing; correct its path, which is relative to the study file."
            ) from error
        except OSError as error:
            raise DataError(f"{file} must be readable, but is not ({error}).") from error
        except (ValueError, csv.Error) as error:
            raise DataError(
                f"{file} must be a table in UTF-8, but is not ({printable(str(error), 200)})."
            ) from error

    def _samples(
        self, listing: Listing, chosen: SplitIndices, folders: DataFolders
    ) -> Mapping[str, Samples]:
        parts = {"train": chosen.train, "val": chosen.val, "test": chosen.test}
        documents = {
            name: [
                Document(words=split_words(listing.extra[i]), target=int(listing.targets[i]))
                for i in rows.tolist()
            ]
            for name, rows in parts.items()
        }
        corpus = build_corpus(documents["train"], [*documents["val"], *documents["test"]])
        words = frequent_words(corpus, self.vocabulary, "train")
        glove = find_glove(folders)
        known = read_glove(glove, {corpus.words[word] for word in words})
        if not known.words:
            raise DataError(
                f"{glove} has a vector for none of the {len(words)} words of {self.train}; use "
                "vectors of its language."
            )
        rows, vectors = vector_rows(corpus, words, known)
        tokens = torch.from_numpy(pad_or_truncate(corpus, rows, self.length, self.truncate))
        pieces = tokens.split([len(one) for one in parts.values()])
        return {
            name: TokenSamples(
                tokens=piece,
                vectors=torch.from_numpy(vectors),
                targets=listing.targets[parts[name]],
            )
            for name, piece in zip(parts, pieces, strict=True)
        }


def _csv(file: Path) -> Iterator[Mapping[str, str | None]]:
    csv.field_size_limit(_LONGEST_FIELD)
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines, delimiter=delimiter, strict=True)


def _json_lines(file: Path) -> Iterator[Mapping[str, object]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from error
            if not isinstance(values, dict):
                raise ValueError(f"line {number} is no object")
            yield values


def _parquet(file: Path) -> Iterator[Mapping[str, object]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches():
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
