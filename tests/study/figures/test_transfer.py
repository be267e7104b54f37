"""Settings found elsewhere, drawn: every point with its interval, every gap with a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from study import figures
from study.figures import static
from study.sensitivity import transfer
from tests.support.transfer_tables import INFEASIBLE_REASON, transfer_table_of
from tests.support.trial_tables import with_row

TABLE = transfer_table_of()
RECORD = transfer(TABLE, "challenger")
KINDS = ("own choice", "found by another arm", "found on several datasets together")


def points(axes: Axes) -> list[Line2D]:
    """Give the settings' points, one line of markers per kind."""
    return [line for line in axes.lines if line.get_label() in KINDS]


def bars(axes: Axes) -> dict[float, tuple[float, float]]:
    """Give the ends of the drawn intervals by the row that they lie in."""
    segments = [
        segment
        for collection in axes.collections
        if isinstance(collection, LineCollection)
        for segment in collection.get_segments()
    ]
    return {segment[0, 1]: (segment[0, 0], segment[1, 0]) for segment in segments}


def test_every_setting_has_a_point_with_its_interval_in_per_cent_or_a_word():
    panels = static.draw(figures.transfer.chart(RECORD)).axes
    assert len(panels) == 2 * len(RECORD.targets)
    for i, target in enumerate(RECORD.targets):
        for axes, metric in zip(panels[2 * i : 2 * i + 2], ("accuracy", "auc"), strict=True):
            values = [row.get(f"test/{metric}") for row in target.rows]
            measured = {place: value for place, value in enumerate(values) if value}
            means = {y: x for line in points(axes) for x, y in line.get_xydata()}
            assert means == {p: pytest.approx(v.interval.mean * 100) for p, v in measured.items()}
            ends = bars(axes)
            assert ends.keys() == measured.keys()
            for place, value in measured.items():
                interval = np.array([value.interval.low, value.interval.high])
                np.testing.assert_allclose(ends[place], interval * 100)
            words = [text.get_text() for text in axes.texts]
            assert words == ["not legal here"] * values.count(None)


def test_rows_are_named_by_who_chose_and_told_apart_by_their_markers():
    figure = static.draw(figures.transfer.chart(RECORD))
    left = figure.axes[0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["digits", "words", "both"]
    assert left.get_title(loc="left") == "On digits"
    assert [line.get_marker() for line in points(left)] == ["o", "s", "D"]
    assert left.get_ylim() == (2.5, -0.5)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Base", *KINDS]


def test_a_trial_without_a_result_is_a_word_and_the_caption_says_why():
    trial = TABLE.select("digits", "final")[1]
    record = transfer(
        with_row(TABLE, replace(trial, state="FAIL", reason="diverged")), "challenger"
    )
    left = static.draw(figures.transfer.chart(record)).axes[0]
    assert [text.get_text() for text in left.texts] == ["no result"]
    assert "words on digits: no result: its trial failed (diverged)." in (
        figures.transfer.caption(record)
    )


def test_the_caption_names_n_interval_datasets_and_what_is_illegal():
    assert figures.transfer.caption(RECORD) == (
        "Settings that Challenger arms chose, each trained anew on the targets: mean of n = 4 "
        "replicas on fresh seeds, bar: 95% Student's t interval of the mean. Dashed line and "
        "band: Base on the target, same seeds, same interval. digits: digits (3 per class), "
        "vgg11, width 0.25. words: reuters (keras), text_cnn, width 0.25. both-digits: digits (3 "
        "per class), vgg11, width 0.25. both-words: reuters (keras), text_cnn, width 0.25. "
        f"digits on words: outside this search space: {INFEASIBLE_REASON} digits on both-words: "
        "outside this search space: "
        f"{INFEASIBLE_REASON}"
    )


def test_a_study_without_base_draws_no_level():
    record = transfer(replace(TABLE, arms=TABLE.arms[1:]), "challenger")
    figure = static.draw(figures.transfer.chart(record))
    assert figure.legends[0].get_texts()[0].get_text() == "own choice"
    assert list(figure.axes[0].patches) == []
    assert len(static.draw(figures.transfer.chart(RECORD)).axes[0].patches) == 1
