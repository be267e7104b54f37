"""The two tables of PTB-XL: its records with their statements and folds, and the statements."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trainables.datasets.ptbxl_statements import Statement
from trainables.errors import DataError

DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"
_KINDS = ("diagnostic", "form", "rhythm")
_N_FOLDS = 10

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One record, as ``ptbxl_database.csv`` describes it.

    Attributes:
        codes: Its statements; what likelihood they were given is of no account.
        fold: 1–10; 9 and 10 are the publisher's validation and test folds.
        path: Place of its 100 Hz signals, without ending, below the table's folder.
    """

    codes: frozenset[str]
    fold: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All records in the table's order, and all statements."""

    records: tuple[RecordRow, ...]
    statements: tuple[Statement, ...]


def read_tables(folder: Path) -> Tables:
    """Read both tables.

    Raises:
        DataError: If one is no such table.
    """
    return Tables(
        records=_read(folder / DATABASE, _record),
        statements=_read(folder / STATEMENTS, _statement),
    )


def _record(row: Mapping[str, str]) -> RecordRow:
    # Written as a Python dictionary from statement to likelihood.
    codes, fold = ast.literal_eval(row["scp_codes"]), int(row["strat_fold"])
    if not isinstance(codes, dict):
        raise ValueError("scp_codes is no dictionary")
    if not 1 <= fold <= _N_FOLDS:
        raise ValueError(f"strat_fold is {fold}")
    return RecordRow(codes=frozenset(codes), fold=fold, path=row["filename_lr"])


def _statement(row: Mapping[str, str]) -> Statement:
    # The statement's name stands in a column without one; flags are written 1.0 or left empty.
    return Statement(
        code=row[""],
        kinds=frozenset(kind for kind in _KINDS if row[kind] and float(row[kind]) == 1),
        subclass=row["diagnostic_subclass"],
        superclass=row["diagnostic_class"],
    )


def _read(path: Path, parse: Callable[[Mapping[str, str]], _Row]) -> tuple[_Row, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = tuple(_parsed(csv.DictReader(file), parse))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table ({error}); replace it by a fresh copy.") from error
    except _RowError as error:
        raise DataError(f"{path} is damaged at {error}; replace it by a fresh copy.") from error
    if not rows:
        raise DataError(f"{path} has no rows; replace it by a fresh copy.")
    return rows


def _parsed(
    reader: csv.DictReader[str], parse: Callable[[Mapping[str, str]], _Row]
) -> Iterator[_Row]:
    for row in reader:
        try:
            yield parse(row)
        except KeyError as error:
            raise _RowError(f"line 1: there is no column {error}") from error
        # What float, int and literal_eval raise for a wrong or an absent value.
        except (ValueError, TypeError, SyntaxError) as error:
            raise _RowError(f"line {reader.line_num}: {error}") from error


class _RowError(Exception):
    """A row cannot be read; says which."""
