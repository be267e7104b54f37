"""Tables of texts in all four formats, whole and damaged."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.trainables.builders import message
from tests.trainables.datasets.small_texts import put_glove, vectors_of
from trainables.datasets import DataFolders, TextTable
from trainables.errors import ConfigError, DataError

WORDS = ["good", "bad", "film", "the", "plot"]
ROWS = [
    {"id": str(k), "review": f"The {'good' if k % 2 else 'bad'} film, \"{k}\"\nunknown{k}!",
     "mood": "up" if k % 2 else "down"}
    for k in range(30)
]  # fmt: skip


@pytest.fixture
def folders(tmp_path):
    put_glove(tmp_path / "root", WORDS)
    return DataFolders(root=tmp_path / "root", cache=tmp_path / "cache")


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write a table in the format of its ending."""
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def reader(path: Path, **settings: object) -> TextTable:
    given = {"text": "review", "label": "mood", "length": 6, "val_size": 4, "test_size": 6}
    return TextTable(train=str(path), **{**given, **settings})


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_words_and_labels(ending, tmp_path, folders):
    data = reader(write(tmp_path / f"a{ending}", ROWS))
    info, splits = data.info, data.load(folders, 0)
    assert (info.n_classes, info.input_shape, info.domain) == (2, (100, 6), "text")
    assert data.listing.classes == ("down", "up")
    assert [len(one) for one in (splits.train, splits.val, splits.test)] == [20, 4, 6]
    vector = dict(zip(WORDS, torch.tensor(vectors_of(WORDS)).float(), strict=True))
    for samples in (splits.train, splits.val, splits.test):
        inputs = samples.views(torch.arange(len(samples)))[0]
        for text, target in zip(inputs, samples.targets.tolist(), strict=True):
            torch.testing.assert_close(text[:, 0], vector["the"])
            torch.testing.assert_close(text[:, 1], vector["good" if target else "bad"])
            torch.testing.assert_close(text[:, 2], vector["film"])


def test_the_vocabulary_is_that_of_the_training_texts(tmp_path, folders):
    train = write(tmp_path / "a.csv", ROWS)
    others = [{**row, "review": "plot the film"} for row in ROWS[:6]]
    test = write(tmp_path / "b.csv", others)
    splits = reader(train, test=str(test)).load(folders, 0)
    assert len(splits.test) == 6
    inputs = splits.test.views(torch.arange(6))[0]
    vector = dict(zip(WORDS, torch.tensor(vectors_of(WORDS)).float(), strict=True))
    torch.testing.assert_close(inputs[0, :, 0], vector["the"])  # 'plot' is not among them
    assert splits.test.valid_mask(torch.arange(6))[0].sum(1).tolist() == [2] * 6


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.csv", b"review,mood\nfine,up\n...,down\n", ": row 2 must have words in column"),
        ("a.csv", b"review,mood\nfine,up\ngood,\n", ": row 2 must have a label, but has none"),
        ("a.csv", b"review,mood\nfine,up\ngood\n", ": row 2 must have a value in column 'mood'"),
        ("a.csv", b"revue,mood\nfine,up\n", ": row 1 must have a value in column 'review', but has"
         " none; did you mean 'revue'?"),
        ("a.csv", b"review,mood\n", " must have rows behind its heads, but has none."),
        ("a.csv", b"review,mood\n\xff\xfe,up\n", " must be a table in UTF-8, but is not ("),
        ("a.csv", b'review,mood\n"fine,up\n', " must be a table in UTF-8, but is not (unexpected"),
        ("a.csv", b"review,mood\nfine,up\ngood,up\n", " must have samples of two classes"),
        ("a.jsonl", b'{"review": "a", "mood": "b"}\n{"rev', " must be a table in UTF-8, but is not"
         " (line 2: "),
        ("a.jsonl", b"[1]\n", " must be a table in UTF-8, but is not (line 1 is no object)."),
        ("a.jsonl", b"[" * 100_000, " must be a table in UTF-8, but is not (line 1: "),
        ("a.parquet", b"no parquet", " must be a table in UTF-8, but is not ("),
        ("a.xlsx", b"", " must end in .csv, .tsv, .jsonl, .parquet; convert or rename it."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_row(name, content, rule, tmp_path, folders):
    path = tmp_path / name
    path.write_bytes(content)
    said = message(DataError, lambda: reader(path).check(folders))
    assert said.startswith(f"{path}{rule}")
    assert said.isprintable()


def test_a_missing_file_and_missing_vectors_are_said(tmp_path, folders):
    gone = tmp_path / "gone.csv"
    expected = f"{gone} is missing; correct its path, which is relative to the study file."
    assert message(ConfigError, lambda: reader(gone).info) == f"dataset: {expected}"
    data = reader(write(tmp_path / "a.csv", ROWS), test=str(gone))
    assert message(DataError, lambda: data.check(folders)) == expected
    foreign = [{**row, "review": "zzz"} for row in ROWS]
    data = reader(write(tmp_path / "b.csv", foreign))
    assert "has a vector for none of the 1 words" in message(
        DataError, lambda: data.check(folders)
    )
