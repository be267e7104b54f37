"""What the figures of global sensitivity say: every point, interval, level and caption."""

import sys

import numpy as np
import pytest

from search_spaces import CategoricalDimension, FloatDimension, IntDimension
from study.figures import importance as importance_figure
from study.figures import interactions as interactions_figure
from study.figures import partial_dependence as dependence_figure
from study.figures import static
from study.sensitivity.importance import (
    fanova,
    importance,
    interactions,
    partial_dependence,
)
from study.sensitivity.importance.fanova import forest_shares
from tests.support.search_designs import SOBOL, design_table, search_data_of

AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "attribution": CategoricalDimension(choices=("lrp", "input_x_gradient")),
}


@pytest.fixture(scope="module")
def data():
    def surface(x: np.ndarray) -> np.ndarray:
        return 0.03 * x[:, 0] + 0.02 * x[:, 1] + 0.4

    return search_data_of(design_table(surface, axes=AXES, trials=64, design=SOBOL, noise=0.05))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(fanova, "DRAWS", 20)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 19)
    monkeypatch.setattr(sys.modules[partial_dependence.__module__], "DRAWS", 10)
    forest_shares.cache_clear()


def test_a_panel_per_estimator_has_a_row_per_dimension_with_interval_and_level(data):
    records = [importance(data, name) for name in ("fanova", "given_first")]
    chart = importance_figure.chart(records)
    panels = list(chart.panels())
    assert [panel.title for panel in panels] == ["fANOVA", "First order, from given data"]
    for panel, record in zip(panels, records, strict=True):
        assert panel.y.ticks[0] == (0.0, "K")
        assert panel.y.is_reversed
        assert panel.levels[0].value == pytest.approx(record.level * 100)
        assert panel.levels[0].axis == "x"
        points = {
            place: (x, low, high)
            for series in panel.series
            for place, x, low, high in zip(
                series.y, series.x, series.low, series.high, strict=True
            )
        }
        assert points == {
            float(i): pytest.approx((s.value * 100, s.low * 100, s.high * 100))
            for i, s in enumerate(record.shares)
        }
    assert chart.rows[0] == tuple(panels)


def test_what_is_more_than_chance_is_filled_and_the_rest_hollow(data):
    record = importance(data, "given_first")
    (panel,) = importance_figure.chart([record]).panels()
    filled = {series.name: len(series.x) for series in panel.series if not series.is_hollow}
    hollow = {series.name: len(series.x) for series in panel.series if series.is_hollow}
    shown = sum(share.is_significant for share in record.shares)
    assert filled == {"more than chance": shown}
    assert hollow == {"not shown to be more": 3 - shown}


def test_the_caption_says_trials_replicas_metric_design_intervals_and_level(data):
    caption = importance_figure.chart([importance(data, "fanova")]).caption
    assert caption == (
        "Importance of each dimension for validation accuracy of Challenger: n = 64 search trials "
        "(sobol), each the mean of 3 replicas at its last evaluation. fANOVA: what explains the "
        "variance (interval: percentile bootstrap over trials, 20 draws, 16 trees each; level of "
        "chance: 19 permutations of the values, 16 trees each). Bars: 95% intervals. Filled: more "
        "than chance, all dimensions of a panel taken together. fANOVA: a forest of 64 trees; "
        "shares of the variance that it predicts."
    )


def test_pairs_are_rows_with_the_strongest_on_top(data):
    record = interactions(data)
    (panel,) = interactions_figure.chart(record).panels()
    assert len(panel.y.ticks) == 3
    first = record.pairs[0]
    assert panel.y.ticks[0][1] == interactions_figure.pair_symbol(first)
    assert max(x for series in panel.series for x in series.x) == pytest.approx(first.value * 100)
    assert panel.levels[0].value == pytest.approx(record.level * 100)
    caption = interactions_figure.caption(record)
    assert caption.startswith(
        "Interactions of pairs of dimensions for validation accuracy of Challenger: n = 64"
    )
    assert "Level of chance: 19 permutations" in caption


def test_dependences_are_in_the_units_of_axis_and_metric(data):
    record = partial_dependence(data)
    k, n, choice = dependence_figure.chart(record).panels()
    assert k.series[0].x == tuple(float(v) for v in range(1, 11))
    assert k.series[0].y == pytest.approx([mean * 100 for mean in record.curves[0].means])
    assert k.y.title == "Validation accuracy [%]"
    assert k.y.limits == n.y.limits == choice.y.limits
    assert k.y.limits[0] < min(k.series[0].low) < max(k.series[0].high) < k.y.limits[1]
    assert (k.x.is_integer, n.x.is_log) == (True, True)
    assert choice.x.ticks == ((0.0, "lrp"), (1.0, "input x gradient"))
    assert choice.series[0].mark == "points"


def test_all_of_them_can_be_drawn(data):
    for chart in (
        importance_figure.chart([importance(data, "fanova"), importance(data, "given_first")]),
        interactions_figure.chart(interactions(data)),
        dependence_figure.chart(partial_dependence(data)),
    ):
        assert static.draw(chart).get_axes()
