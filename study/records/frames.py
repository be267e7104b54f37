"""Records as rows, and rows as data frames with typed columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from study.records.escaping import escape_formula

if TYPE_CHECKING:
    import pandas as pd

Cell: TypeAlias = str | int | float | bool | datetime | None
Row: TypeAlias = Mapping[str, Cell]

_TIME_DTYPE = "datetime64[ms, UTC]"
# Columns that may be empty, which then says nothing of their type.
_COLUMN_DTYPES = {
    "reason": "str",
    "sampler": "str",
    "epoch": "Int64",
    "finished": _TIME_DTYPE,
    "started": _TIME_DTYPE,
}
_CELL_DTYPES = {bool: "boolean", int: "Int64", float: "float64", str: "str", datetime: _TIME_DTYPE}


class Tabular(ABC):
    """A record whose numbers are the rows of a data frame."""

    __slots__ = ()

    @abstractmethod
    def frame_rows(self) -> Iterator[Row]:
        """Yield its numbers with every digit, in long form."""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a data frame."""
        return make_frame(self.frame_rows())

    def _repr_html_(self) -> str:
        """Return the data frame as a notebook shows it."""
        return str(self.to_frame()._repr_html_())


def make_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Build a data frame whose columns are those of all rows, in order of first appearance."""
    listed = list(rows)
    names = dict.fromkeys(name for row in listed for name in row)
    return typed_frame({name: [row.get(name) for row in listed] for name in names})


def typed_frame(columns: Mapping[str, Sequence[Cell]]) -> pd.DataFrame:
    """Build a data frame of columns.

    Integers and booleans keep their type where cells are missing (``Int64``, ``boolean``). In a
    column of integers and floats all become floats; other mixtures become text.
    """
    import pandas as pd

    return pd.DataFrame({name: _series(name, cells) for name, cells in columns.items()})


def to_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV with every digit; a missing cell is empty.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    texts = frame.select_dtypes(["object", "string"]).columns
    safe = frame.assign(
        **{
            name: frame[name].map(lambda cell: escape_formula(cell) if _is_text(cell) else cell)
            for name in texts
        }
    ).rename(columns=escape_formula)
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _is_text(cell: object) -> bool:
    return isinstance(cell, str)


def _series(name: str, cells: Sequence[Cell]) -> pd.Series[Any]:
    import pandas as pd

    kind = _COLUMN_DTYPES.get(name) or _dtype(cells)
    if kind == "str":
        cells = [None if cell is None else str(cell) for cell in cells]
    return pd.Series(list(cells), dtype=kind)


def _dtype(cells: Sequence[Cell]) -> str:
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) == 1:
        return _CELL_DTYPES[kinds.pop()]
    return "float64" if kinds <= {int, float} else "str"
