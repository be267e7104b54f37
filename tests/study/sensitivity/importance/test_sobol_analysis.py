"""Sobol indices: SALib's own numbers, closed forms, noise and the level of chance."""

from dataclasses import replace

import numpy as np
import pytest
from SALib.analyze import sobol
from scipy import stats

from study.records.errors import ReportError
from study.sensitivity.importance import given_data, importance, sobol_analysis
from study.sensitivity.importance.shares import estimator_seed
from tests.support import search_designs
from tests.support.search_designs import (
    ADDITIVE,
    ISHIGAMI_AXES,
    ISHIGAMI_FIRST,
    ISHIGAMI_TOTAL,
    UNIT,
    additive,
    constant_surface,
    design_table,
    ishigami,
    search_data_of,
    with_one_replica,
)
from tests.support.trial_tables import with_row


def blocks_of(surface, blocks: int, axes=UNIT, *, second_order=False, noise=0.0, seed=0):
    design, trials = search_designs.saltelli(blocks, len(axes), second_order=second_order)
    return design_table(surface, axes=axes, design=design, trials=trials, noise=noise, seed=seed)


def values(record) -> list[float]:
    return [record.get(name).value for name in record.data.dimensions]


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(sobol_analysis, "RESAMPLES", 100)
    monkeypatch.setattr(given_data, "FIRST_ORDER_RESAMPLES", 20)
    monkeypatch.setattr(given_data, "FIRST_ORDER_PERMUTATIONS", 99)


@pytest.mark.parametrize("second_order", [False, True])
def test_total_indices_and_intervals_are_salibs(second_order):
    table = blocks_of(additive, 32, second_order=second_order, noise=0.3)
    data = search_data_of(table)
    expected = sobol.analyze(
        {"num_vars": 5, "names": list(UNIT)},
        np.array([np.mean(row.last("val/accuracy")) for row in table.rows]),
        calc_second_order=second_order,
        num_resamples=sobol_analysis.RESAMPLES,
        seed=estimator_seed(data, "sobol"),
    )
    found = importance(data, "sobol_total")
    assert values(found) == pytest.approx(expected["ST"].tolist())
    for share, half in zip(data.dimensions, expected["ST_conf"], strict=True):
        assert found.get(share).high - found.get(share).value == pytest.approx(half)
        assert found.get(share).value - found.get(share).low == pytest.approx(half)


@pytest.mark.usefixtures("few_draws")
def test_ishigamis_function_gives_the_closed_forms():
    data = search_data_of(blocks_of(ishigami, 1024, ISHIGAMI_AXES))
    assert values(importance(data, "sobol_first")) == pytest.approx(ISHIGAMI_FIRST, abs=0.05)
    assert values(importance(data, "sobol_total")) == pytest.approx(ISHIGAMI_TOTAL, abs=0.02)


@pytest.mark.usefixtures("few_draws")
def test_a_wave_within_the_classes_of_few_trials_is_named_with_salibs_estimate():
    data = search_data_of(blocks_of(ishigami, 32, ISHIGAMI_AXES))
    found = importance(data, "sobol_first")
    (note,) = found.notes
    assert found.get("beta").value < ISHIGAMI_FIRST[1] - 0.1
    assert note.startswith("beta: SALib's estimate from the blocks is ")
    assert (
        importance(search_data_of(blocks_of(additive, 64, noise=0.3)), "sobol_first").notes == ()
    )


def shown_in(studies: int, surface, noise: float) -> np.ndarray:
    """Count in how many studies of 32 blocks each dimension is above chance in first order."""
    found = [
        importance(search_data_of(blocks_of(surface, 32, noise=noise, seed=seed)), "sobol_first")
        for seed in range(studies)
    ]
    return np.sum([[one.get(name).is_significant for name in UNIT] for one in found], axis=0)


@pytest.mark.usefixtures("few_draws")
def test_an_effect_of_45_percent_is_shown_in_nearly_all_studies_of_224_trials():
    """The three replicas' mean has a third of their variance."""
    weights = np.sqrt(12 * np.array([0.45, 0.15, 0.1, 0.0, 0.0]))
    shown = shown_in(25, lambda x: x @ weights, np.sqrt(3 * 0.3))
    assert shown[0] >= 24
    assert shown[3:].sum() <= 3


@pytest.mark.usefixtures("few_draws")
def test_dimensions_without_effect_are_not_above_chance_because_points_share_coordinates():
    """Singly permuted trials would show one in a fifth of the studies."""
    shown = shown_in(25, lambda x: 12 * (x[:, 0] - 0.5) * (x[:, 1] - 0.5), 0.3)
    assert stats.binomtest(int(shown.sum()), 25, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.usefixtures("few_draws")
def test_an_additive_metric_has_equal_indices_of_both_orders():
    data = search_data_of(blocks_of(additive, 256))
    for name in ("sobol_first", "sobol_total"):
        assert values(importance(data, name)) == pytest.approx(ADDITIVE.tolist(), abs=0.03)


@pytest.mark.usefixtures("few_draws")
def test_noise_makes_every_total_index_larger_by_its_share_and_the_level_knows():
    table = blocks_of(additive, 512, noise=1.0)
    data = search_data_of(table)
    share = (1 / 3) / (1 / 3 + 14.25 / 12)
    assert data.noise == pytest.approx(share, rel=0.08)
    found = importance(data, "sobol_total")
    inert = found.get("e")
    assert inert.value == pytest.approx(share, rel=0.15)
    # Its interval leaves out the true 0; the level does not call it an effect.
    assert inert.low > 0
    assert found.level > inert.value
    assert not inert.is_significant
    assert [s.dimension for s in found.shares if s.is_significant] == ["a", "b", "c"]
    assert f"Noise of the replicas is {data.noise:.0%} of the variance" in found.notes[0]


def test_without_a_second_replica_total_indices_have_no_level():
    table = with_one_replica(blocks_of(additive, 32, noise=0.2))
    found = importance(search_data_of(table), "sobol_total")
    assert found.level is None
    assert found.chance == ""
    assert not any(share.is_significant for share in found.shares)
    assert found.notes[0].startswith("Total indices include the noise of the replicas")


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("name", ["sobol_first", "sobol_total"])
def test_of_noise_alone_a_dimension_is_more_than_chance_in_5_of_100_studies_at_most(name):
    wrong = sum(
        any(
            share.is_significant
            for share in importance(
                search_data_of(blocks_of(constant_surface, 32, noise=0.3, seed=seed)), name
            ).shares
        )
        for seed in range(60)
    )
    assert stats.binomtest(wrong, 60, 0.05, alternative="greater").pvalue > 0.01


def test_trials_that_are_not_saltellis_blocks_are_refused():
    table = blocks_of(additive, 32)
    row = table.rows[2]
    moved = with_row(table, replace(row, params={**row.params, "c": 0.123}))
    with pytest.raises(ReportError, match="trial 2 of each block of 7 must be the first one with"):
        importance(search_data_of(moved), "sobol_total")


def test_too_few_blocks_are_refused():
    message = r"needs at least 224 trials \(32 whole blocks: .* but has 112; raise 'search.trials'"
    with pytest.raises(ReportError, match=message):
        importance(search_data_of(blocks_of(additive, 16)), "sobol_total")


@pytest.mark.slow
def test_salibs_intervals_cover_the_noisy_truth_in_92_to_98_of_100_studies(monkeypatch):
    """With noise; without it they cover more: its bootstrap does not know Sobol's even spread."""
    monkeypatch.setattr(sobol_analysis, "RESAMPLES", 200)
    signal, noise = 14.25 / 12, 0.3 * 14.25 / 12
    first = ADDITIVE * signal / (signal + noise)
    truth = {"S1": first, "ST": first + noise / (signal + noise)}
    covered: dict[str, list[np.ndarray]] = {"S1": [], "ST": []}
    for seed in range(300):
        table = blocks_of(additive, 64, noise=np.sqrt(3 * noise), seed=seed)
        found = sobol_analysis.sobol_indices(search_data_of(table))
        for index, values_ in truth.items():
            low, high = sobol_analysis.index_interval(found, index)
            covered[index].append((low <= values_) & (values_ <= high))
    for index in truth:
        assert 0.92 <= np.mean(covered[index]) <= 0.98
