"""What the data root holds, and what the datasets say of it themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.data import check
from trainables.datasets import sources
from trainables.datasets.sources import SOURCES, Source, SourceFile
from trainables.errors import DataError


def test_digits_need_no_data_root():
    found = check("digits", None)
    assert (found.files, found.others, found.problem) == ((), (), None)


def test_what_has_files_needs_a_data_root():
    with pytest.raises(DataError) as caught:
        check("mnist", None)
    assert str(caught.value).startswith("dataset 'mnist' is read from a data root, and none was")


def test_an_empty_data_root_lacks_every_file_and_stays_empty(tmp_path):
    found = check("mnist", tmp_path)
    assert [(file.path, file.state) for file in found.files] == [
        (file.path, "missing") for file in SOURCES["mnist"].files
    ]
    assert found.others == ()
    assert found.problem is not None
    assert f"{tmp_path}/mnist/MNIST/raw/" in found.problem
    assert list(tmp_path.iterdir()) == []


def test_what_is_beside_the_published_files_is_named_one_level_deep(tmp_path):
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"x")
    (tmp_path / "mnist" / "unpacked").mkdir()
    (tmp_path / "mnist" / "unpacked" / "deep").write_bytes(b"")
    (tmp_path / "mnist" / "a.part").write_bytes(b"")
    found = check("mnist", tmp_path)
    assert found.others == ("mnist/a.part", "mnist/unpacked")
    assert [file.state for file in found.files] == ["damaged", *["missing"] * 3]


def test_what_is_no_dataset_is_judged_by_its_files(tmp_path, monkeypatch):
    vectors = Source(files=(SourceFile(path="vectors/v.json", urls=()),))
    text = Source(files=(SourceFile(path="text/t.json", urls=()),), needs=("vectors",))
    monkeypatch.setattr(sources, "SOURCES", {"vectors": vectors, "text": text})
    for path, problem in (
        ("text/t.json", "text/t.json, vectors/v.json must be as published."),
        ("vectors/v.json", "vectors/v.json must be as published."),
        (None, None),
    ):
        assert check("text", tmp_path).problem == problem
        if path is not None:
            (tmp_path / path).parent.mkdir(parents=True)
            (tmp_path / path).write_text("{}", encoding="utf-8")
    assert [file.state for file in check("text", tmp_path).files] == ["whole", "whole"]


@pytest.mark.data
def test_real_mnist_is_as_published(challenger_data: Path) -> None:
    found = check("mnist", challenger_data)
    assert [file.state for file in found.files] == ["ok"] * 4
    assert [file.size for file in found.files] == [file.size for file in SOURCES["mnist"].files]
    assert found.problem is None
