"""Statements and archives of PTB-XL."""

from __future__ import annotations

import csv
import gzip
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MultiLabelBinarizer

from tests.trainables.builders import message
from tests.trainables.datasets.small_ptbxl import ZIP, Ecg, ecgs, pack, record_path, write
from tests.trainables.datasets.small_ptbxl import write_record as overwrite
from trainables.datasets import ptbxl
from trainables.datasets.ptbxl import read_records
from trainables.datasets.ptbxl_files import (
    N_CLASSES,
    Tables,
    check_source,
    class_of_code,
    find_source,
    label_matrix,
    read_tables,
    source_digest,
)
from trainables.errors import DataError, StorageError

# Records of all 21,799 that have a label, and of folds 1–8, 9 and 10.
LABELED = {
    "all": (21799, 17418, 2183, 2198),
    "diag": (21388, 17084, 2146, 2158),
    "sub-diag": (21388, 17084, 2146, 2158),
    "super-diag": (21388, 17084, 2146, 2158),
    "form": (8978, 7197, 901, 880),
    "rhythm": (21030, 16832, 2100, 2098),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Tables:
    """Read the tables of forty made-up records."""
    return read_tables(write(tmp_path_factory.mktemp("small"), ecgs()))


@pytest.fixture(scope="module")
def real_statements(challenger_data, tmp_path_factory):
    """Read the published table of statements, which the subset comes with."""
    folder = tmp_path_factory.mktemp("tables")
    with tarfile.open(challenger_data / "ptbxl" / "ptb-xl-subset1819.tar.xz") as archive:
        for table in ("scp_statements.csv", "ptbxl_database.csv"):
            member = archive.extractfile(f"ptb-xl-subset1819/{table}")
            (folder / table).write_bytes(member.read())
    return read_tables(folder).statements


@pytest.fixture(scope="module")
def every_record(challenger_data) -> list[dict[str, str]]:
    """Read statements and folds of all 21,799 records."""
    path = challenger_data / "ptbxl" / "ptbxl_labels_all_21799.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def binarized(codes, class_of):
    """Do what the benchmark does: classes per record, then scikit-learn's binarizer."""
    binarizer = MultiLabelBinarizer()
    rows = [{class_of[code] for code in own if code in class_of} for own in codes]
    return torch.from_numpy(binarizer.fit_transform(rows)).float(), list(binarizer.classes_)


def test_the_numbers_of_classes_are_the_benchmarks():
    assert dict(N_CLASSES) == {
        "all": 71,
        "diag": 44,
        "sub-diag": 23,
        "super-diag": 5,
        "form": 19,
        "rhythm": 12,
    }


@pytest.mark.parametrize(
    ("task", "code", "label"),
    [
        ("all", "D41", "D41"),
        ("all", "R7", "R7"),
        ("diag", "D41", "D41"),
        ("diag", "F3", None),
        ("sub-diag", "D41", "S18"),
        ("sub-diag", "R7", None),
        ("super-diag", "D41", "P3"),
        ("super-diag", "F3", None),
        ("form", "D41", "D41"),
        ("form", "D39", None),
        ("form", "R7", None),
        ("rhythm", "R7", "R7"),
        ("rhythm", "D41", None),
    ],
)
def test_a_statement_stands_for_a_class_of_its_task(task, code, label, small):
    assert class_of_code(small.statements, task).get(code) == label


def test_labels_are_ones_in_the_alphabetical_order_of_the_classes(small):
    codes = [{"D0", "D5", "D44?"}, {"D1"}, {"R1", "F2"}, {"D4", "D3", "D26"}]
    labels = label_matrix(codes, small.statements, "super-diag")
    assert labels.tolist() == [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1],
    ]


@pytest.mark.parametrize("task", N_CLASSES)
def test_labels_of_small_data_are_those_of_scikit_learn_where_a_class_occurs(task, small):
    codes = [row.codes for row in small.records]
    found = label_matrix(codes, small.statements, task)
    class_of = class_of_code(small.statements, task)
    expected, classes = binarized(codes, class_of)
    columns = [sorted(set(class_of.values())).index(name) for name in classes]
    assert torch.equal(found[:, columns], expected)
    assert found.sum() == expected.sum()


def test_a_table_with_other_classes_is_refused(small):
    less = [s for s in small.statements if s.code != "R11"]
    with pytest.raises(DataError) as caught:
        label_matrix([], less, "rhythm")
    assert str(caught.value) == (
        "scp_statements.csv names 11 classes of task 'rhythm', but PTB-XL has 12; replace it by "
        "a fresh copy."
    )


@pytest.mark.data
@pytest.mark.parametrize("task", N_CLASSES)
def test_all_21799_records_have_the_benchmarks_classes(task, real_statements, every_record):
    codes = [row["codes"].split() for row in every_record]
    found = label_matrix([set(own) for own in codes], real_statements, task)
    expected, classes = binarized(codes, class_of_code(real_statements, task))
    # No class is left without a record, so that what the table names is what occurs.
    assert len(classes) == N_CLASSES[task]
    assert torch.equal(found, expected)
    is_labeled = found.any(1)
    fold = torch.tensor([int(row["strat_fold"]) for row in every_record])
    counts = (
        int(is_labeled.sum()),
        *(
            int((is_labeled & (fold >= low) & (fold <= high)).sum())
            for low, high in ((1, 8), (9, 9), (10, 10))
        ),
    )
    assert counts == LABELED[task]


@pytest.mark.data
def test_the_superclasses_are_the_published_ones(real_statements):
    found = class_of_code(real_statements, "super-diag")
    assert sorted(set(found.values())) == ["CD", "HYP", "MI", "NORM", "STTC"]
    assert (found["IMI"], found["LVH"], found["CLBBB"], found["NDT"]) == (
        "MI",
        "HYP",
        "CD",
        "STTC",
    )


DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
SUBSET = "ptb-xl-subset1819.tar.xz"
COPY = "replace it by a fresh copy."
NUMBERS = "must hold 12 × 1000 numbers"


@pytest.fixture
def home(tmp_path):
    return write(tmp_path / "root" / "ptbxl", ecgs(12))


@pytest.fixture
def archive(home, tmp_path):
    path = tmp_path / "zipped" / ZIP
    path.parent.mkdir()
    pack(home, path)
    return path


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_signals_are_those_of_the_records_in_the_order_of_the_table(home, tmp_path):
    records = read_records(home, tmp_path / "cache")
    expected = np.stack([ecg.millivolts for ecg in ecgs(12)])
    assert records.signals.shape == (12, 12, 1000)
    np.testing.assert_allclose(records.signals, expected, rtol=1e-6)
    np.testing.assert_allclose(records.moments[:, 0], expected.mean((1, 2)), rtol=1e-12)
    np.testing.assert_allclose(records.moments[:, 1], (expected**2).mean((1, 2)), rtol=1e-12)
    assert records.unit == "mV"
    assert records.tables == check_source(home)


def test_physionets_zip_file_gives_the_same(home, archive, tmp_path):
    from_folder = read_records(home, tmp_path / "a")
    from_archive = read_records(archive.parent, tmp_path / "b")
    assert np.array_equal(from_folder.signals, from_archive.signals)
    assert from_folder.tables == from_archive.tables
    assert find_source(archive.parent) == archive


def test_a_folder_is_preferred_to_an_archive(home, archive):
    shutil.copy(archive, home / ZIP)
    (home / SUBSET).write_bytes(b"")
    assert find_source(home) == home
    (home / DATABASE).unlink()
    assert find_source(home) == home / ZIP
    (home / ZIP).unlink()
    assert find_source(home) == home / SUBSET


def test_signals_are_decoded_once_and_nothing_else_is_left_in_the_cache(
    home, tmp_path, monkeypatch
):
    first = read_records(home, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name == source_digest(home)
    assert listing(kept) == ["moments.npy", DATABASE, STATEMENTS, "signals.npy", "unit.json"]
    read_records.cache_clear()
    monkeypatch.setattr(ptbxl, "_decode", None)
    again = read_records(home, tmp_path / "cache")
    assert again is not first
    assert np.array_equal(again.signals, first.signals)


def test_the_data_root_is_left_alone(home, archive, tmp_path):
    for folder in (home, archive.parent):
        before = listing(folder)
        check_source(find_source(folder))
        read_records(folder, tmp_path / "cache")
        assert listing(folder) == before


def test_a_check_leaves_nothing_behind(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = listing(tmp_path)
    assert len(check_source(archive).records) == 12
    assert listing(tmp_path) == before


def test_other_records_are_decoded_anew(home, archive, tmp_path):
    cache = tmp_path / "cache"
    assert len(read_records(home, cache).signals) == 12
    write(home, ecgs(11, seed=1))
    read_records.cache_clear()
    assert len(read_records(home, cache).signals) == 11
    before = source_digest(archive)
    pack(home, archive)
    assert source_digest(archive) != before


def test_what_another_process_decoded_meanwhile_is_taken(home, tmp_path, monkeypatch):
    cache, decode = tmp_path / "cache", ptbxl._decode

    def slowly(folder, decoded) -> None:
        decode(folder, decoded)
        if not (cache / source_digest(home)).exists():
            shutil.copytree(decoded, cache / source_digest(home))

    monkeypatch.setattr(ptbxl, "_decode", slowly)
    assert len(read_records(home, cache).signals) == 12
    assert listing(cache)[0] == source_digest(home)
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_no_race(home, tmp_path, monkeypatch):
    def vanish(_folder, decoded) -> None:
        decoded.rmdir()

    monkeypatch.setattr(ptbxl, "_decode", vanish)
    with pytest.raises(StorageError, match="No such file"):
        read_records(home, tmp_path / "cache")


def test_after_a_failure_nothing_is_left_that_could_be_taken_for_data(home, tmp_path):
    (home / f"{record_path(7)}.dat").write_bytes(b"")
    with pytest.raises(DataError):
        read_records(home, tmp_path / "cache")
    assert listing(tmp_path / "cache") == []


def test_without_any_of_the_three_forms_all_are_named(tmp_path):
    assert message(DataError, lambda: find_source(tmp_path)) == (
        f"{tmp_path} holds no PTB-XL; put ptbxl_database.csv, scp_statements.csv and "
        f"records100/ of PTB-XL 1.0.3 there, or {ZIP}, or {SUBSET}, or name another data root "
        "with --data-root or CHALLENGER_DATA."
    )


@pytest.mark.parametrize("part", [STATEMENTS, "records100"])
def test_half_a_folder_is_told_what_it_lacks(part, home):
    (home / part).rename(home / "elsewhere")
    assert message(DataError, lambda: find_source(home)) == (
        f"{home} holds ptbxl_database.csv but no {part}; put that of PTB-XL 1.0.3 beside it."
    )


@pytest.mark.parametrize("ending", [".hea", ".dat"])
def test_a_missing_record_is_named_before_and_while_it_is_read(ending, home, tmp_path):
    name = f"{record_path(7)}{ending}"
    (home / name).unlink()
    assert message(DataError, lambda: check_source(home)) == (
        f"{home} lacks {name}, which its ptbxl_database.csv names; {COPY}"
    )
    assert message(DataError, lambda: read_records(home, tmp_path / "cache")) == (
        f"{home / name} is missing; put it there."
    )


def test_an_archive_without_a_record_is_refused(home, archive):
    name = f"{record_path(3)}.dat"
    pack(home, archive, leave_out=name)
    assert message(DataError, lambda: check_source(archive)) == (
        f"{archive} lacks {name}, which its ptbxl_database.csv names; {COPY}"
    )


@pytest.mark.parametrize("table", [DATABASE, STATEMENTS])
def test_an_archive_without_a_table_is_refused(table, home, archive):
    pack(home, archive, leave_out=table)
    assert (
        message(DataError, lambda: check_source(archive)) == f"{archive} holds no {table}; {COPY}"
    )


def test_a_truncated_zip_file_is_refused(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-100])
    expected = f"{archive} is damaged (File is not a zip file); {COPY}"
    assert message(DataError, lambda: check_source(archive)) == expected
    assert message(DataError, lambda: read_records(archive.parent, tmp_path / "cache")) == expected


def test_an_altered_zip_file_is_refused_while_it_is_read(archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo(f"ptb-xl-1.0.3/{record_path(0)}.dat")
    content = bytearray(archive.read_bytes())
    content[member.header_offset + 2000] ^= 1
    archive.write_bytes(content)
    found = message(DataError, lambda: read_records(archive.parent, tmp_path / "cache"))
    assert found.startswith(f"{archive} is damaged (")
    assert found.endswith(f"); {COPY}")


def test_an_altered_subset_is_refused(tmp_path):
    (tmp_path / SUBSET).write_bytes(b"something else")
    expected = (
        f"{tmp_path / SUBSET} is damaged: its md5 should be c1c10f2b5e81a6498aafd5065d171bf8, but "
        f"is 6c7ba9c5a141421e1c03cb9807c97c74 (14 bytes); {COPY}"
    )
    assert message(DataError, lambda: check_source(tmp_path / SUBSET)) == expected
    assert message(DataError, lambda: read_records(tmp_path, tmp_path / "cache")) == expected


@pytest.mark.parametrize(
    ("ending", "content", "reason"),
    [
        (".dat", b"\0" * 1000, "cannot reshape array of size 500 into shape (12)"),
        (".dat", b"", "Samples were not loaded correctly"),
        (".hea", b"", "list index out of range"),
        (".hea", b"\xff\xfe\0 nonsense", "invalid syntax in record line"),
    ],
)
def test_a_damaged_record_is_refused(ending, content, reason, home, tmp_path):
    (home / f"{record_path(7)}{ending}").write_bytes(content)
    assert message(DataError, lambda: read_records(home, tmp_path / "cache")) == (
        f"{home / record_path(7)} is damaged ({reason}); {COPY}"
    )


def altered(home, change) -> str:
    """Alter the text of a header and return what is said when it is read."""
    header = home / f"{record_path(7)}.hea"
    header.write_text(change(header.read_text("utf-8")), "utf-8")
    return message(DataError, lambda: read_records(home, home / "cache"))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda digital: digital[:, :11], f"{NUMBERS} at 100 Hz, but holds 11 × 1000 at 100 Hz;"),
        (lambda digital: digital[:900], f"{NUMBERS} at 100 Hz, but holds 12 × 900 at 100 Hz;"),
        # What the 16-bit format writes for a number that is missing.
        (
            lambda digital: np.where(np.arange(12000).reshape(1000, 12) == 77, -32768, digital),
            "must hold 12 × 1000 finite numbers, but 1 of them are missing or infinite;",
        ),
        (lambda digital: np.zeros_like(digital) + np.arange(12), "must hold signals, but none of"),
    ],
    ids=["leads", "length", "missing", "flat"],
)
def test_signals_that_are_not_whole_are_refused(change, rule, home, tmp_path):
    digital = change(ecgs(12)[7].digital)
    overwrite(home / record_path(7), Ecg(codes=(), fold=1, digital=digital))
    found = message(DataError, lambda: read_records(home, tmp_path / "cache"))
    assert found.startswith(f"{home / record_path(7)} {rule}")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (" 12 100 1000", " 12 500 1000", f"{NUMBERS} at 100 Hz, but holds 12 × 1000 at 500 Hz;"),
        (" 12 100 1000", " 12 100 0", "is damaged (it states 12 leads of 0 at 100 Hz)"),
        (" 12 100 1000", " 12 100 99999999", "is damaged (it states more than 400000000 numbers)"),
        ("1000.0(0)/mV", "1e-320(0)/mV", "must hold 12 × 1000 finite numbers, but 1"),
        ("00007_lr.dat", "../a.dat", "is damaged (invalid syntax in signal line);"),
        (
            " AVL\n",
            " \x1b[31m\n",
            "must have a lead 'AVL', but lacks it; its leads are I, II",
        ),
        (" AVL\n", " AVF\n", "must have a lead 'AVL', but lacks it; its leads are I, II"),
        (" V6\n", " V1\n", "must have a lead 'V1', but has it 2 times; its leads are I, II, III"),
    ],
)
def test_a_header_that_states_something_odd_is_refused(old, new, rule, home):
    found = altered(home, lambda text: text.replace(old, new))
    assert found.startswith(f"{home / record_path(7)} {rule}")
    assert found.isprintable()


def test_leads_are_taken_by_their_names_whatever_their_order(home, tmp_path):
    path, digital = home / record_path(7), ecgs(12)[7].digital
    overwrite(path, Ecg(codes=(), fold=1, digital=digital))
    straight = read_records(home, tmp_path / "a").signals[7]
    overwrite(path, Ecg(codes=(), fold=1, digital=digital[:, ::-1]))
    header = path.with_name(f"{path.name}.hea")
    first, *leads = header.read_text("utf-8").splitlines()
    names = [line.rpartition(" ")[2].lower() for line in leads][::-1]
    leads = [f"{line.rpartition(' ')[0]} {name}" for line, name in zip(leads, names, strict=True)]
    header.write_text("\n".join([first, *leads]) + "\n", "utf-8")
    assert (read_records(home, tmp_path / "b").signals[7] == straight).all()


@pytest.mark.parametrize("file", ["signals.npy", "moments.npy", "unit.json", "ptbxl_database.csv"])
@pytest.mark.parametrize("damage", [b"", b"no array"])
def test_a_damaged_cache_is_made_again(file, damage, home, tmp_path):
    whole = np.array(read_records(home, tmp_path / "cache").signals)
    read_records.cache_clear()
    (tmp_path / "cache" / source_digest(home) / file).write_bytes(damage)
    assert (read_records(home, tmp_path / "cache").signals == whole).all()
    read_records.cache_clear()


def test_a_full_disk_is_a_storage_error(home, disk):
    disk.fill()
    with pytest.raises(StorageError, match="No space left on device"):
        read_records(home, disk.path / "cache")
