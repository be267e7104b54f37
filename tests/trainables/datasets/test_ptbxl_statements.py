from __future__ import annotations

import csv
import gzip
import tarfile

import pytest
import torch
from sklearn.preprocessing import MultiLabelBinarizer

from tests.trainables.datasets.small_ptbxl import ecgs, write
from trainables.datasets.ptbxl_statements import N_CLASSES, class_of_code, label_matrix
from trainables.datasets.ptbxl_tables import Tables, read_tables
from trainables.errors import DataError

# Records of all 21,799 that have a label, and of folds 1–8, 9 and 10.
LABELLED = {
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


def binarised(codes, class_of):
    """Do what the benchmark does: classes per record, then scikit-learn's binariser."""
    binariser = MultiLabelBinarizer()
    rows = [{class_of[code] for code in own if code in class_of} for own in codes]
    return torch.from_numpy(binariser.fit_transform(rows)).float(), list(binariser.classes_)


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
    expected, classes = binarised(codes, class_of)
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
    expected, classes = binarised(codes, class_of_code(real_statements, task))
    # No class is left without a record, so that what the table names is what occurs.
    assert len(classes) == N_CLASSES[task]
    assert torch.equal(found, expected)
    is_labelled = found.any(1)
    fold = torch.tensor([int(row["strat_fold"]) for row in every_record])
    counts = (
        int(is_labelled.sum()),
        *(
            int((is_labelled & (fold >= low) & (fold <= high)).sum())
            for low, high in ((1, 8), (9, 9), (10, 10))
        ),
    )
    assert counts == LABELLED[task]


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
