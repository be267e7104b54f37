from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.builders import message
from tests.trainables.datasets.small_texts import (
    PACKED,
    TEXT,
    ZIP,
    glove_text,
    put_glove,
    put_packed_glove,
    vectors_of,
)
from trainables.datasets import DataFolders
from trainables.datasets.glove import WordVectors, check_glove, find_glove, read_glove
from trainables.errors import DataError

WORDS = ["the", ",", "of", "zürich", "'s", "oil"]


@pytest.fixture
def root(tmp_path) -> Path:
    """Build an empty data root with a folder for the vectors."""
    folder = tmp_path / "root"
    folder.joinpath("glove").mkdir(parents=True)
    return folder


def put_zip(root: Path, member: str = TEXT) -> Path:
    path = root / "glove" / ZIP
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.6B.50d.txt", "the 1.0\n")
        archive.writestr(member, glove_text(WORDS))
    return path


PUT = {
    "text": lambda root: put_glove(root, WORDS),
    "zip": put_zip,
    "packed": lambda root: put_packed_glove(root, WORDS),
}


def folders(root: Path) -> DataFolders:
    return DataFolders(root=root, cache=root / "cache")


def nearest(known: WordVectors, wanted: np.ndarray, besides: set[str]) -> str:
    lengths = np.linalg.norm(known.vectors, axis=1)
    order = np.argsort(-(known.vectors @ wanted) / lengths)
    return next(known.words[i] for i in order if known.words[i] not in besides)


@pytest.mark.data
@pytest.mark.parametrize(
    ("plus", "minus", "also", "answer"),
    [
        ("king", "man", "woman", "queen"),
        ("paris", "france", "italy", "rome"),
        ("walking", "walk", "swim", "swimming"),
    ],
)
def test_king_without_man_with_woman_is_queen(challenger_data, plus, minus, also, answer):
    known = read_glove(find_glove(folders(challenger_data)))
    row = dict(zip(known.words, known.vectors, strict=True))
    wanted = row[plus] - row[minus] + row[also]
    assert nearest(known, wanted, {plus, minus, also}) == answer


@pytest.mark.data
def test_the_packed_copy_passes_its_check(challenger_data):
    path = challenger_data / "glove" / PACKED
    check_glove(path)
    known = read_glove(path)
    assert len(known.words) == len(set(known.words)) == 55_293
    assert known.vectors.shape == (55_293, 100)
    assert known.vectors.dtype == np.float32


@pytest.mark.parametrize("form", sorted(PUT))
def test_all_forms_give_the_same_words_and_numbers(root, form):
    path = PUT[form](root)
    check_glove(path)
    known = read_glove(path)
    assert known.words == tuple(WORDS)
    assert np.array_equal(known.vectors, vectors_of(WORDS))
    assert known.vectors.dtype == np.float32


@pytest.mark.parametrize("form", sorted(PUT))
def test_only_wanted_words_are_read_and_unknown_ones_left_out(root, form):
    known = read_glove(PUT[form](root), {"oil", "zürich", "nowhere"})
    assert known.words == ("zürich", "oil")
    assert np.array_equal(known.vectors, vectors_of(WORDS)[[3, 5]])
    assert read_glove(find_glove(folders(root)), {"nowhere"}).vectors.shape == (0, 100)


def test_the_most_complete_file_is_taken(root):
    for form, name in [("packed", PACKED), ("zip", ZIP), ("text", TEXT)]:
        PUT[form](root)
        assert find_glove(folders(root)) == root / "glove" / name


def test_where_there_are_none_it_says_what_to_put_there(root):
    assert message(DataError, lambda: find_glove(folders(root))) == (
        f"{root / 'glove'} holds no word vectors, which every text dataset needs; put "
        "glove.6B.100d.txt, glove.6B.zip or glove.6B.100d.top60k.f16.npz there, or name another "
        "data root with --data-root or CHALLENGER_DATA."
    )


def test_a_text_file_that_ends_early_fails_the_check(root):
    path = put_glove(root, WORDS)
    path.write_bytes(path.read_bytes()[:-300])
    assert message(DataError, lambda: check_glove(path)) == (
        f"{path} ends in the middle of a line; replace it by a fresh copy."
    )


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>\n", b"the 0.1 0.2\n"])
def test_what_is_no_text_of_vectors_fails_the_check(root, content):
    path = root / "glove" / TEXT
    path.write_bytes(content)
    shown = content.decode()
    assert message(DataError, lambda: check_glove(path)) == (
        f"{path} is damaged: line 1 is no word with 100 finite numbers, but {shown!r}; "
        "replace it by a fresh copy."
    )


def test_a_damaged_line_is_named_when_it_is_read(root):
    path = put_glove(root, WORDS)
    lines = path.read_text("utf-8").split("\n")
    lines[2] = lines[2].rpartition(" ")[0] + " 1.2.3"
    path.write_text("\n".join(lines), encoding="utf-8")
    said = (
        f"{path} is damaged: line 3 is no word with 100 finite numbers, but "
        f"{lines[2][:40]!r}; replace it by a fresh copy."
    )
    assert message(DataError, lambda: read_glove(path)) == said
    assert message(DataError, lambda: read_glove(path, {"of"})) == said
    assert read_glove(path, {"the"}).words == ("the",)


def test_a_byte_order_mark_is_no_part_of_the_first_word(root):
    path = put_glove(root, ["the", "of"])
    path.write_text(f"\ufeff{path.read_text('utf-8')}", "utf-8")
    check_glove(path)
    assert read_glove(path).words == ("the", "of")
    assert read_glove(path, {"the"}).words == ("the",)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e39", "1e400"])
def test_numbers_that_are_not_finite_are_refused(root, number):
    path = put_glove(root, WORDS)
    lines = path.read_text("utf-8").splitlines()
    lines[1] = f"{lines[1].rpartition(' ')[0]} {number}"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    expected = f"{path} is damaged: line 2 is no word with 100 finite numbers, but "
    assert message(DataError, lambda: read_glove(path)).startswith(expected)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_packed_copy_with_numbers_that_are_not_finite_is_refused(root, number):
    path = put_packed_glove(root, WORDS)
    with np.load(path) as arrays:
        vectors = arrays["vectors"].copy()
        vectors[1, 5] = number
        np.savez(path, words=arrays["words"], vectors=vectors)
    assert message(DataError, lambda: check_glove(path)) == (
        f"{path} must hold finite numbers, but its vectors of float16 do not; replace it by a "
        "fresh copy."
    )


def test_a_line_without_an_end_is_refused(root):
    path = put_glove(root, WORDS)
    path.write_bytes(path.read_bytes() + b"x" * 70_000)
    expected = f"{path} is damaged (line {len(WORDS) + 1} has 65536 bytes or more); replace"
    assert message(DataError, lambda: read_glove(path)).startswith(expected)


def test_a_word_that_is_no_utf8_is_a_damaged_file(root):
    path = put_glove(root, WORDS)
    path.write_bytes(path.read_bytes().replace("ü".encode(), b"\xfc"))
    assert message(DataError, lambda: read_glove(path)) == (
        f"{path} is damaged ('utf-8' codec can't decode byte 0xfc in position 1: invalid start "
        "byte); replace it by a fresh copy."
    )


@pytest.mark.parametrize("read", [check_glove, read_glove])
def test_a_zip_without_the_file_or_cut_short_is_refused(root, read):
    path = put_zip(root, member="glove.6B.300d.txt")
    assert message(DataError, lambda: read(path)) == (
        f"{path} holds no glove.6B.100d.txt; replace it by a fresh copy."
    )
    path.write_bytes(path.read_bytes()[:-50])
    assert message(DataError, lambda: read(path)) == (
        f"{path} is damaged (File is not a zip file); replace it by a fresh copy."
    )


def test_an_altered_zip_is_refused_when_it_is_read(root):
    path = put_zip(root)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo(TEXT).header_offset
    content = bytearray(path.read_bytes())
    content[offset + 14] ^= 1  # the checksum is asked of the index at the end
    index = content.rindex(b"PK\x01\x02")
    content[index + 16] ^= 1
    path.write_bytes(content)
    assert message(DataError, lambda: read_glove(path)) == (
        f"{path} is damaged (Bad CRC-32 for file 'glove.6B.100d.txt'); replace it by a fresh copy."
    )


@pytest.mark.parametrize("read", [check_glove, read_glove])
def test_a_packed_copy_that_is_none_is_refused(root, read):
    path = put_packed_glove(root, WORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert message(DataError, lambda: read(path)) == (
        f"{path} is damaged (File is not a zip file); replace it by a fresh copy."
    )
    path.write_bytes(b"")
    assert message(DataError, lambda: read(path)) == (
        f"{path} is damaged (File is not a zip file); replace it by a fresh copy."
    )
    np.savez(path, words=np.frombuffer(b"the\nof", np.uint8))
    assert message(DataError, lambda: read(path)) == (
        f"{path} is damaged ('vectors is not a file in the archive'); replace it by a fresh copy."
    )
    np.savez(path, words=np.frombuffer(b"the\nof", np.uint8), vectors=np.zeros((2, 50)))
    assert message(DataError, lambda: read(path)) == (
        f"{path} has 2 words and vectors of shape (2, 50), where (2, 100) belongs; replace it by "
        "a fresh copy."
    )
