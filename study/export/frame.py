"""Columns as a data frame with one type per column, and as the bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from study.export.columns import Cell
from study.trial_table import TrialTable

if TYPE_CHECKING:
    import pandas as pd

_TIME = "datetime64[ms, UTC]"
# Columns that may hold nothing at all, which says nothing of their type.
_TYPES = {"reason": "str", "sampler": "str", "epoch": "Int64", "finished": _TIME, "started": _TIME}
_KINDS = {bool: "boolean", int: "Int64", float: "float64", str: "str", datetime: _TIME}


def to_frame(columns: Mapping[str, Sequence[Cell]], table: TrialTable) -> pd.DataFrame:
    """Make a data frame of columns; its ``attrs`` say what they are of.

    Integers, and true and false, stay what they are where cells are missing (``Int64``,
    ``boolean``). Where values of a column differ in kind, integers become real numbers beside
    these, and anything else text.

    Args:
        columns: Name to cells.
        table: Where they come from: objective, direction and environment go to ``attrs``.
    """
    import pandas as pd

    frame = pd.DataFrame({name: _series(name, cells) for name, cells in columns.items()})
    frame.attrs = {
        "study": table.study,
        "objective": table.objective,
        "direction": table.direction,
        "environment": dict(table.environment),
    }
    return frame


def to_csv(frame: pd.DataFrame) -> str:
    """Write a frame with every digit; a missing cell is empty."""
    return str(frame.to_csv(index=False, lineterminator="\n"))


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Write a frame with its types and ``attrs``."""
    stream = io.BytesIO()
    frame.to_parquet(stream, engine="pyarrow", index=False)
    return stream.getvalue()


def _series(name: str, cells: Sequence[Cell]) -> pd.Series[Any]:
    import pandas as pd

    kind = _TYPES.get(name) or _kind(cells)
    if kind == "str":
        cells = [None if cell is None else str(cell) for cell in cells]
    return pd.Series(list(cells), dtype=kind)


def _kind(cells: Sequence[Cell]) -> str:
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) == 1:
        return _KINDS[kinds.pop()]
    return "float64" if kinds <= {int, float} else "str"
