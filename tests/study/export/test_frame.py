"""Data frames of the trial table, and what a file keeps of them."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from study.export import export_columns, to_csv, to_frame, to_parquet
from tests.study.factories import Shape, trial_table

TABLE = trial_table(Shape(replicas=2, layers=1, sweep=(1, 9), search_trials=3, epochs=10))
PERS = ["trial", "replica", "report"]


def frame_of(table=TABLE, per="trial") -> pd.DataFrame:
    return to_frame(export_columns(table, per), table)


@pytest.mark.parametrize("per", PERS)
def test_parquet_gives_back_the_frame_with_its_types_and_what_it_is_of(per):
    frame = frame_of(per=per)
    back = pd.read_parquet(io.BytesIO(to_parquet(frame)))
    pd.testing.assert_frame_equal(back, frame)
    assert back.attrs == {
        "study": TABLE.study,
        "objective": "val/accuracy",
        "direction": "maximise",
        "environment": dict(TABLE.environment),
    }


@pytest.mark.parametrize("per", PERS)
def test_csv_gives_back_every_digit(per):
    frame = frame_of(per=per)
    times = [name for name in ("started", "finished", "time") if name in frame]
    back = pd.read_csv(io.StringIO(to_csv(frame)), parse_dates=times)
    assert list(back) == list(frame)
    for name in frame:
        expected = frame[name].dropna().tolist()
        assert back[name].dropna().tolist() == expected, name
        assert back[name].isna().tolist() == frame[name].isna().tolist()


def test_each_column_has_its_type_where_cells_are_missing_too():
    types = {name: str(kind) for name, kind in frame_of().dtypes.items()}
    assert types["params/top_k"] == types["trial_number"] == types["epoch"] == "Int64"
    assert types["params/alpha"] == types["val/accuracy"] == types["value"] == "float64"
    assert types["is_chosen"] == "boolean"
    assert types["started"] == types["finished"] == "datetime64[ms, UTC]"
    assert types["arm"] == types["reason"] == types["sampler"] == "str"


@pytest.mark.parametrize(
    ("cells", "kind", "kept"),
    [
        ((1, None, 3), "Int64", [1, None, 3]),
        ((1, 0.5), "float64", [1.0, 0.5]),
        ((True, None), "boolean", [True, None]),
        (("a", None), "str", ["a", None]),
        ((1, "a", 0.5, True), "str", ["1", "a", "0.5", "True"]),
        ((True, 1), "str", ["True", "1"]),
        ((None, None), "float64", [None, None]),
        ((), "float64", []),
        ((2**48 - 1,), "Int64", [2**48 - 1]),
        ((datetime(2026, 1, 2, tzinfo=UTC),), "datetime64[ms, UTC]", None),
    ],
)
def test_a_column_takes_the_type_of_its_values(cells, kind, kept):
    series = to_frame({"params/x": cells}, TABLE)["params/x"]
    assert str(series.dtype) == kind
    if kept is not None:
        assert [None if pd.isna(cell) else cell for cell in series] == kept
    assert len(pd.read_parquet(io.BytesIO(to_parquet(series.to_frame())))) == len(cells)


@pytest.mark.parametrize("per", PERS)
def test_a_study_without_trials_is_a_frame_without_rows(per):
    frame = frame_of(replace(TABLE, rows=()), per)
    assert len(frame) == 0
    assert to_csv(frame) == ",".join(frame) + "\n"
    assert list(pd.read_parquet(io.BytesIO(to_parquet(frame)))) == list(frame)


def test_a_reason_of_several_lines_stays_one_cell():
    failed = replace(TABLE.rows[0], state="FAIL", reason='the loss, "it" is\nnot finite')
    frame = frame_of(replace(TABLE, rows=(failed, *TABLE.rows[1:])))
    back = pd.read_csv(io.StringIO(to_csv(frame)))
    assert back["reason"][0] == failed.reason
