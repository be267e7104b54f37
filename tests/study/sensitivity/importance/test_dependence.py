"""Partial dependence: the shape of known surfaces, in the units of the axes."""

import sys

import numpy as np
import pytest

from search_spaces import CategoricalDimension, FloatDimension, IntDimension
from study.records.errors import ReportError
from study.sensitivity.importance import partial_dependence
from tests.support.search_designs import SOBOL, UNIT, additive, design_table, search_data_of

module = sys.modules[partial_dependence.__module__]
AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "attribution": CategoricalDimension(choices=("lrp", "gradient", "random")),
    "weight": FloatDimension(low=2.0, high=2.0),
}


def surface(x: np.ndarray) -> np.ndarray:
    choice = np.array([0.1, 0.3, 0.2])[x[:, 2].astype(int)]
    return 0.03 * x[:, 0] + 0.05 * (x[:, 1] - np.log(0.01)) + choice


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DRAWS", 30)
        yield partial_dependence(
            search_data_of(design_table(surface, axes=AXES, trials=256, design=SOBOL, noise=0.01))
        )


def test_curves_stand_in_the_units_of_their_axes(found):
    k, n, choice = found.curves
    assert k.values == tuple(range(1, 11))
    assert (n.values[0], n.values[-1]) == pytest.approx((0.01, 1.0))
    assert n.values[12] == pytest.approx(0.1)
    assert choice.values == ("lrp", "gradient", "random")


def test_a_dimension_of_one_value_has_no_curve(found):
    assert [curve.dimension for curve in found.curves] == ["top_k", "n_features", "attribution"]


def test_curves_follow_the_surface(found):
    k, n, choice = found.curves
    assert np.diff(k.means)[1:8].mean() == pytest.approx(0.03, abs=0.005)
    assert (np.diff(k.means) > 0).all()
    assert n.means[-1] - n.means[0] == pytest.approx(0.05 * np.log(100), abs=0.05)
    assert choice.means[1] - choice.means[0] == pytest.approx(0.2, abs=0.03)
    assert choice.means[2] - choice.means[0] == pytest.approx(0.1, abs=0.03)


def test_bands_hold_their_curve_and_narrow_with_more_trials(found):
    for curve in found.curves:
        assert all(
            low <= mean <= high
            for low, mean, high in zip(curve.lows, curve.means, curve.highs, strict=True)
        )
    few = partial_dependence(
        search_data_of(design_table(surface, axes=AXES, trials=64, design=SOBOL, noise=0.01))
    )
    widths = [np.subtract(r.curves[0].highs, r.curves[0].lows).mean() for r in (found, few)]
    assert widths[0] < widths[1]


def test_too_few_trials_are_refused():
    with pytest.raises(ReportError, match="of 5 dimensions needs at least 50 trials, but has 49"):
        partial_dependence(search_data_of(design_table(additive, axes=UNIT, trials=49)))
