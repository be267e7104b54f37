"""Files of PTB-XL: its two tables, the statements as classes, and its archives."""

from __future__ import annotations

import ast
import csv
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.datasets.archives import archived_files, zip_directory
from trainables.datasets.data_files import check_file
from trainables.errors import DataError
from trainables.names import printable
from trainables.runtime.storage_errors import storage_errors

Task: TypeAlias = Literal["all", "diag", "sub-diag", "super-diag", "form", "rhythm"]

N_CLASSES: Mapping[Task, int] = MappingProxyType(
    {"all": 71, "diag": 44, "sub-diag": 23, "super-diag": 5, "form": 19, "rhythm": 12}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One kind of statement: a row of ``scp_statements.csv``.

    Attributes:
        code: Its name, such as NORM or SR.
        kinds: Which of ``diagnostic``, ``form`` and ``rhythm`` it is; some are two of them.
        subclass: Diagnostic subclass, empty if it is not diagnostic.
        superclass: Diagnostic superclass, likewise.
    """

    code: str
    kinds: frozenset[str]
    subclass: str
    superclass: str


def class_of_code(statements: Collection[Statement], task: Task) -> dict[str, str]:
    """Return the class of each statement in a task; statements without one are left out.

    Raises:
        DataError: If the number of classes is not PTB-XL's.
    """
    found = {s.code: name for s in statements if (name := _class(s, task))}
    n_classes = len(set(found.values()))
    if n_classes != N_CLASSES[task]:
        raise DataError(
            f"scp_statements.csv names {n_classes} classes of task {task!r}, but PTB-XL has "
            f"{N_CLASSES[task]}; replace it by a fresh copy."
        )
    return found


def label_matrix(
    codes: Sequence[Collection[str]], statements: Collection[Statement], task: Task
) -> Float[Tensor, "record classes"]:
    """Return 0 or 1 per record and class, the classes in the alphabetical order of their names.

    A statement counts with any likelihood, 0 included, as in the benchmark.

    Args:
        codes: Statements of each record.
        statements: All statements.
        task: Set of classes.

    References:
        Strodthoff et al., IEEE J-BHI 2021, arXiv:2004.13701, section II.
    """
    class_of = class_of_code(statements, task)
    column = {name: k for k, name in enumerate(sorted(set(class_of.values())))}
    labels = torch.zeros(len(codes), len(column))
    for row, own in enumerate(codes):
        for code in class_of.keys() & own:
            labels[row, column[class_of[code]]] = 1
    return labels


def _class(statement: Statement, task: Task) -> str:
    # Empty for a statement without a class in the task.
    if task == "all":
        return statement.code
    if task in ("form", "rhythm"):
        return statement.code if task in statement.kinds else ""
    if "diagnostic" not in statement.kinds:
        return ""
    if task == "diag":
        return statement.code
    return statement.subclass if task == "sub-diag" else statement.superclass


DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"
_KINDS = ("diagnostic", "form", "rhythm")
_N_FOLDS = 10

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One record, as ``ptbxl_database.csv`` describes it.

    Attributes:
        codes: Its statements of any likelihood.
        fold: 1–10; 9 and 10 are the publisher's validation and test folds.
        path: Its 100 Hz signals below the table's folder, without file extension.
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
        DataError: If one is not such a table.
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
    path = PurePosixPath(row["filename_lr"])
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (SIGNALS,):
        raise ValueError(f"filename_lr is {printable(str(path))!r}, not below {SIGNALS}")
    return RecordRow(codes=frozenset(codes), fold=fold, path=str(path))


def _statement(row: Mapping[str, str]) -> Statement:
    # The column of the statement's name has no name; flags are 1.0 or empty.
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
        # Raised by float, int and literal_eval for a wrong or missing value.
        except (ValueError, TypeError, SyntaxError) as error:
            raise _RowError(f"line {reader.line_num}: {error}") from error


class _RowError(Exception):
    """An unreadable row, with its line."""


SIGNALS = "records100"
ARCHIVE = "ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip"
SUBSET = "ptb-xl-subset1819.tar.xz"
_SUBSET_MD5 = "c1c10f2b5e81a6498aafd5065d171bf8"


def find_source(home: Path) -> Path:
    """Return PTB-XL's folder in the data root, or the archive in it.

    Raises:
        DataError: If neither is there, or a part is missing.
    """
    if (home / DATABASE).is_file():
        for part in (STATEMENTS, SIGNALS):
            if not (home / part).exists():
                raise DataError(
                    f"{home} holds {DATABASE} but no {part}; put that of PTB-XL 1.0.3 beside it."
                )
        return home
    for archive in (ARCHIVE, SUBSET):
        if (home / archive).is_file():
            return home / archive
    raise DataError(
        f"{home} holds no PTB-XL; put {DATABASE}, {STATEMENTS} and {SIGNALS}/ of PTB-XL 1.0.3 "
        f"there, or {ARCHIVE}, or {SUBSET}, or name another data root with --data-root or "
        "CHALLENGER_DATA."
    )


def check_source(source: Path) -> Tables:
    """Check that all files exist and archives are undamaged, and return the tables.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    if source.is_dir():
        names = {path.relative_to(source).as_posix() for path in source.glob(f"{SIGNALS}/*/*")}
        tables = read_tables(source)
    else:
        with TemporaryDirectory() as folder:
            names = unpack(source, Path(folder), with_signals=False)
            tables = read_tables(Path(folder))
    wanted = (row.path + ending for row in tables.records for ending in (".hea", ".dat"))
    for name in wanted:
        if name not in names:
            raise DataError(
                f"{source} lacks {name}, which its {DATABASE} names; replace it by a fresh copy."
            )
    return tables


def source_digest(source: Path) -> str:
    """Return a digest of a folder's path and tables, or of an archive's checksums.

    It has 16 hexadecimal digits; the signals are not read.
    """
    if source.name == SUBSET:
        return _SUBSET_MD5[:16]
    digest = hashlib.sha256()
    if source.is_dir():
        digest.update(str(source.resolve()).encode())
        for table in (DATABASE, STATEMENTS):
            digest.update((source / table).read_bytes())
    else:
        for member in zip_directory(source):
            digest.update(f"{member.filename} {member.CRC} {member.file_size}\n".encode())
    return digest.hexdigest()[:16]


def unpack(archive: Path, folder: Path, *, with_signals: bool) -> set[str]:
    """Unpack the tables of an archive, and the 100 Hz signals if requested.

    Returns:
        Paths of all its files below its topmost folder.

    Raises:
        DataError: If the archive is truncated or altered, or lacks a table.
    """
    if archive.name == SUBSET:
        check_file(archive, _SUBSET_MD5)
    names = set()
    for file in archived_files(archive):
        name = _strip_root(file.name)
        names.add(name)
        is_table = name in (DATABASE, STATEMENTS)
        if is_table or (with_signals and name.startswith(f"{SIGNALS}/")):
            content, target = file.read(), folder / name
            with storage_errors(folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    for table in (DATABASE, STATEMENTS):
        if table not in names:
            raise DataError(f"{archive} holds no {table}; replace it by a fresh copy.")
    return names


def _strip_root(name: str) -> str:
    # Archives hold one folder, named after the version.
    return PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix()
