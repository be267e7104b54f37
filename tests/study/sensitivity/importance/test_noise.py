"""The share of noise in what differs between trials, on tables whose noise is known."""

from dataclasses import replace

import numpy as np
import pytest

from study.sensitivity.importance.noise import noise_variance
from study.sensitivity.replicas import ReplicaValues
from tests.study.sensitivity.designs import UNIT, additive, basis_of, design_table


def trials(values: np.ndarray, seeds=None) -> list[ReplicaValues]:
    return [
        ReplicaValues(
            trial=str(i),
            metric="val/accuracy",
            seeds=tuple(seeds[i]) if seeds is not None else tuple(range(len(row))),
            values=tuple(row.tolist()),
        )
        for i, row in enumerate(values)
    ]


def test_it_is_the_variance_of_the_noise_over_the_replicas():
    values = np.random.default_rng(1).normal(0, 0.2, (4000, 4)) + 0.5
    assert noise_variance(trials(values)) == pytest.approx(0.04 / 4, rel=0.03)


def test_a_seed_that_does_well_everywhere_is_no_noise_between_trials():
    rng = np.random.default_rng(2)
    values = rng.normal(0, 0.1, (4000, 3)) + rng.normal(0, 5.0, 3)
    assert noise_variance(trials(values)) == pytest.approx(0.01 / 3, rel=0.04)


def test_without_shared_seeds_it_is_the_mean_variance_over_the_replicas():
    values = np.random.default_rng(3).normal(size=(5, 3))
    found = noise_variance(trials(values, seeds=np.arange(15).reshape(5, 3)))
    assert found == pytest.approx(values.var(axis=1, ddof=1).mean() / 3)


def test_of_single_replicas_it_is_unknown():
    assert noise_variance(trials(np.ones((4, 1)))) is None


def test_a_basis_carries_the_share():
    table = design_table(additive, axes=UNIT, trials=2000, noise=1.5)
    signal = 14.25 / 12
    assert basis_of(table).noise == pytest.approx(0.75 / (0.75 + signal), rel=0.06)


def test_a_basis_of_single_replicas_has_none():
    table = design_table(additive, axes=UNIT, trials=8)
    rows = tuple(
        replace(
            row,
            seeds=(0,),
            reports=tuple(
                replace(r, metrics={k: v[:1] for k, v in r.metrics.items()}) for r in row.reports
            ),
        )
        for row in table.rows
    )
    assert basis_of(replace(table, rows=rows)).noise is None
