"""Interactions of pairs: SALib's second order where there is one, else the forest's."""

import numpy as np
import pytest
from SALib.analyze import sobol

from search_spaces import FloatDimension
from study.records.errors import ReportError
from study.sensitivity.importance import fanova, interactions, sobol_analysis
from study.sensitivity.importance.shares import estimator_seed
from tests.support import search_designs
from tests.support.search_designs import (
    ISHIGAMI_AXES,
    SOBOL,
    UNIT,
    additive,
    design_table,
    ishigami,
    search_data_of,
)


def test_second_order_is_salibs_and_ishigamis_closed_form(monkeypatch):
    monkeypatch.setattr(sobol_analysis, "RESAMPLES", 50)
    design, trials = search_designs.saltelli(512, 3, second_order=True)
    data = search_data_of(design_table(ishigami, axes=ISHIGAMI_AXES, design=design, trials=trials))
    expected = sobol.analyze(
        {"num_vars": 3, "names": list("abc")},
        data.y,
        num_resamples=50,
        seed=estimator_seed(data, "sobol"),
    )
    found = interactions(data)
    assert found.name == "Sobol, second order"
    assert found.level is None
    strongest = found.shares[0]
    assert (strongest.first, strongest.second) == ("alpha", "split")
    assert strongest.value == pytest.approx(expected["S2"][0, 2])
    assert strongest.high - strongest.value == pytest.approx(expected["S2_conf"][0, 2])
    assert strongest.value == pytest.approx(0.2437, abs=0.05)
    assert [pair.is_significant for pair in found.shares] == [True, False, False]


def test_the_forests_pairs_find_a_product_and_call_it_more_than_chance(monkeypatch):
    monkeypatch.setattr(fanova, "DRAWS", 20)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 39)
    surface = lambda x: (x[:, 0] - 0.5) * (x[:, 3] - 0.5)  # noqa: E731
    found = interactions(
        search_data_of(design_table(surface, axes=UNIT, trials=256, design=SOBOL))
    )
    first = found.shares[0]
    assert (first.first, first.second) == ("a", "d")
    assert first.is_significant
    assert first.low > found.level > found.shares[1].value
    assert len(found.shares) == 10


def test_an_additive_metric_has_no_pair_above_chance(monkeypatch):
    monkeypatch.setattr(fanova, "DRAWS", 20)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 39)
    found = interactions(search_data_of(design_table(additive, axes=UNIT, trials=128, noise=0.2)))
    assert not any(pair.is_significant for pair in found.shares)


def test_one_dimension_has_no_pairs():
    axes = {"alpha": FloatDimension(low=0.0, high=1.0)}
    with pytest.raises(ReportError) as caught:
        interactions(search_data_of(design_table(lambda x: x[:, 0], axes=axes, trials=40)))
    assert str(caught.value) == (
        "arm 'challenger': interactions need 2 dimensions, but it searches only alpha; search "
        "another one too."
    )


def test_too_few_trials_are_refused():
    message = r"of 5 dimensions needs at least 100 trials \(10 for each pair\), but has 99"
    with pytest.raises(ReportError, match=message):
        interactions(search_data_of(design_table(additive, axes=UNIT, trials=99)))


def test_too_few_blocks_of_second_order_are_refused():
    design, trials = search_designs.saltelli(32, 5, second_order=True)
    data = search_data_of(design_table(additive, axes=UNIT, design=design, trials=trials))
    with pytest.raises(ReportError, match=r"needs at least 768 trials \(64 whole blocks\)"):
        interactions(data)
    assert np.isfinite(data.y).all()
