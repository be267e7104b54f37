from __future__ import annotations

import pytest

from tests.trainables.datasets.small_ptbxl import ecgs, record_path, statements, write, write_table
from trainables.datasets.ptbxl_files import read_tables
from trainables.errors import DataError

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
ROW = {"scp_codes": "{'NORM': 100.0}", "strat_fold": "3", "filename_lr": "records100/x"}


@pytest.fixture
def home(tmp_path):
    return write(tmp_path / "ptbxl", ecgs(3))


def test_records_have_their_statements_fold_and_place(home):
    rows = read_tables(home).records
    assert [row.codes for row in rows] == [frozenset(ecg.codes) for ecg in ecgs(3)]
    assert [row.fold for row in rows] == [1, 2, 3]
    assert [row.path for row in rows] == [record_path(k) for k in range(3)]


def test_likelihood_is_of_no_account(home):
    write_table(home / DATABASE, [{**ROW, "scp_codes": "{'A': 0.0, 'B': 15.0, 'C': 100.0}"}])
    (row,) = read_tables(home).records
    assert row.codes == {"A", "B", "C"}


def test_statements_have_their_kinds_and_classes(home):
    found = {s.code: s for s in read_tables(home).statements}
    assert len(found) == 71
    assert found["D41"].kinds == {"diagnostic", "form"}
    assert (found["D41"].subclass, found["D41"].superclass) == ("S18", "P3")
    assert found["R7"].kinds == {"rhythm"}
    assert (found["R7"].subclass, found["R7"].superclass) == ("", "")


def test_a_flag_of_zero_is_as_good_as_none(home):
    rows = [{**row, "rhythm": row["rhythm"] or "0.0"} for row in statements()]
    write_table(home / STATEMENTS, rows)
    assert sum("rhythm" in s.kinds for s in read_tables(home).statements) == 12


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scp_codes": "{'NORM'"}, "line 3: '{' was never closed (<unknown>, line 1)"),
        ({"scp_codes": "['NORM']"}, "line 3: scp_codes is no dictionary"),
        ({"scp_codes": "open('x')"}, "line 3: malformed node or string on line 1: "),
        ({"strat_fold": "ten"}, "line 3: invalid literal for int() with base 10: 'ten'"),
        ({"strat_fold": "0"}, "line 3: strat_fold is 0"),
        ({"strat_fold": "11"}, "line 3: strat_fold is 11"),
        ({"filename_lr": "/etc/x"}, "line 3: filename_lr is '/etc/x', not below records100"),
        ({"filename_lr": "a/b"}, "line 3: filename_lr is 'a/b', not below records100"),
        (
            {"filename_lr": "records100/../../b"},
            "line 3: filename_lr is 'records100/../../b'",
        ),
    ],
)
def test_a_damaged_record_is_named_by_its_line(change, reason, home):
    write_table(home / DATABASE, [ROW, {**ROW, **change}])
    with pytest.raises(DataError) as caught:
        read_tables(home)
    assert str(caught.value).startswith(f"{home / DATABASE} is damaged at {reason}")
    assert str(caught.value).endswith("; replace it by a fresh copy.")


@pytest.mark.parametrize(
    ("table", "content", "reason"),
    [
        (
            DATABASE,
            b"ecg_id,strat_fold\n1,2\n",
            " is damaged at line 1: there is no column 'scp_codes'",
        ),
        (STATEMENTS, b"code,form\nNORM,1.0\n", " is damaged at line 1: there is no column ''"),
        (
            STATEMENTS,
            b",diagnostic,form,rhythm\nA,x,,\n",
            " is damaged at line 2: could not convert string to float: 'x'",
        ),
        (DATABASE, b"", " has no rows"),
        (STATEMENTS, b",form\n", " has no rows"),
        (
            DATABASE,
            b"\xff\n",
            " is no table ('utf-8' codec can't decode byte 0xff in position 0: invalid start "
            "byte)",
        ),
    ],
)
def test_what_is_no_such_table_is_refused(table, content, reason, home):
    (home / table).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tables(home)
    assert str(caught.value) == f"{home / table}{reason}; replace it by a fresh copy."


def test_a_line_cut_off_is_refused(home):
    path = home / DATABASE
    path.write_text(path.read_text("utf-8").rstrip()[:-30], encoding="utf-8")
    with pytest.raises(DataError, match=r"ptbxl_database\.csv is damaged at line"):
        read_tables(home)
