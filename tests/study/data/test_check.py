"""What the data root holds, and what the datasets say of it themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.data import check
from tests.study.data.conftest import md5
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


def test_a_dataset_that_is_content_is_not_usable_beside_a_damaged_file(tmp_path, monkeypatch):
    digits = Source(files=(SourceFile(path="digits/more.json", urls=()),))
    monkeypatch.setattr(sources, "SOURCES", {"digits": digits})
    assert check("digits", tmp_path).problem is None
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "more.json").write_text("", encoding="utf-8")
    assert check("digits", tmp_path).problem == (
        "digits/more.json is damaged: it cannot be read to its end: it is empty (0 bytes); "
        "fetch it with 'challenger-study data fetch digits'."
    )


def test_what_nothing_reads_must_be_as_published(tmp_path, monkeypatch):
    files = tuple(
        SourceFile(path=f"set/{name}.json", urls=(), checksum=checksum)
        for name, checksum in (("a", None), ("b", md5(b"{}")))
    )
    monkeypatch.setattr(sources, "SOURCES", {"set": Source(files=files)})
    fetch = "fetch it with 'challenger-study data fetch set'."
    assert check("set", tmp_path).problem == f"set/a.json is missing; {fetch}"
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / f"{name}.json").write_text("[]", encoding="utf-8")
    assert check("set", tmp_path).problem == (
        f"set/b.json is different: its md5 should be {md5(b'{}').digest}, but is "
        f"{md5(b'[]').digest} (2 bytes); {fetch}"
    )
    (tmp_path / "set" / "b.json").write_text("{}", encoding="utf-8")
    assert check("set", tmp_path).problem is None


def test_what_a_dataset_needs_is_listed_with_it(tmp_path, monkeypatch):
    vectors = Source(files=(SourceFile(path="vectors/v.json", urls=()),))
    digits = Source(files=(SourceFile(path="digits/d.json", urls=()),), needs=("vectors",))
    monkeypatch.setattr(sources, "SOURCES", {"vectors": vectors, "digits": digits})
    found = check("digits", tmp_path)
    assert [file.path for file in found.files] == ["digits/d.json", "vectors/v.json"]


def test_word_vectors_are_judged_by_their_reader(tmp_path):
    problem = check("glove", tmp_path).problem
    assert problem is not None
    assert problem.startswith(f"{tmp_path}/glove holds no word vectors")
    (tmp_path / "glove").mkdir()
    vector = " ".join(["word", *["0.5"] * 100]) + "\n"
    (tmp_path / "glove" / "glove.6B.100d.txt").write_text(vector, encoding="utf-8")
    found = check("glove", tmp_path)
    assert (found.problem, found.others) == (None, ("glove/glove.6B.100d.txt",))
    assert [file.state for file in found.files] == ["missing"]


@pytest.mark.data
def test_real_mnist_is_as_published(challenger_data: Path) -> None:
    found = check("mnist", challenger_data)
    assert [file.state for file in found.files] == ["ok"] * 4
    assert [file.size for file in found.files] == [file.size for file in SOURCES["mnist"].files]
    assert found.problem is None
