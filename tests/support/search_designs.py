"""Trial tables of whole designs, whose search trials have a known surface and known noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from search_spaces import Design, Dimension, FloatDimension, Saltelli, Sobol, Space, design_points
from search_spaces.designs import quantile_value
from study.records.trial_table import ArmRow, ParamValue, StoredReport, TrialRow, TrialTable
from study.sensitivity.importance import SearchData, encode_value, search_data
from tests.support.trial_tables import AXES, DATASET, MODEL, TableShape, make_trial_table

UNIT: dict[str, Dimension] = {name: FloatDimension(low=0.0, high=1.0) for name in "abcde"}
SEEDS = (0, 1, 2)
METRIC = "val/accuracy"


def design_table(
    surface: Callable[[np.ndarray], np.ndarray],
    *,
    axes: Mapping[str, Dimension] = AXES,
    trials: int = 128,
    design: Design | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> TrialTable:
    """Make a table of one arm, ``challenger``, that searched by a design, or at random without."""
    rng = np.random.default_rng(seed)
    space = Space(dimensions=dict(axes), fixed={})
    if design is None:
        # Sobol's map from shares to axes, fed at random.
        points = random_points(space, rng, trials)
    else:
        points = design_points(design, space, seed, trials)
    x = np.array([[encode_value(axes[name], point[name]) for name in axes] for point in points])
    means = surface(x)
    values = means[:, None] + noise * rng.normal(size=(trials, len(SEEDS)))
    rows = [
        search_row(number, point, v)
        for number, (point, v) in enumerate(zip(points, values, strict=True))
    ]
    return table_of(axes, rows, design)


def random_points(
    space: Space, rng: np.random.Generator, count: int
) -> tuple[dict[str, ParamValue], ...]:
    return tuple(
        {
            name: quantile_value(axis, share)
            for (name, axis), share in zip(space.dimensions.items(), row, strict=True)
        }
        for row in rng.random((count, len(space.dimensions)))
    )


def table_of(
    axes: Mapping[str, Dimension], rows: list[TrialRow], design: Design | None
) -> TrialTable:
    empty = make_trial_table(TableShape(replicas=2, layers=1, sweep=(), search_trials=0))
    arm = ArmRow(
        name="challenger",
        dataset=DATASET,
        model=MODEL,
        method="challenger",
        n_classes=10,
        n_features=784,
        epochs=10,
        dimensions=dict(axes),
        sweeps={},
        best_params=None,
        sampler="random" if design is None else design.name,
        design=design,
    )
    return replace(empty, arms=(arm,), rows=tuple(rows), sampler=arm.sampler)


def search_row(number: int, params: Mapping[str, ParamValue], values: np.ndarray) -> TrialRow:
    replicas = tuple(float(value) for value in values)
    metrics = {
        METRIC: replicas,
        "filter_cosine/mean": tuple(0.5 - value / 4 for value in replicas),
    }
    return TrialRow(
        arm="challenger",
        phase="search",
        number=number,
        state="COMPLETE",
        params=params,
        seeds=SEEDS,
        reports=(StoredReport(epoch=10, time_ms=number, metrics=metrics),),
        value=float(np.mean(replicas)),
        reason=None,
        folder=f"challenger/search-{number}",
        started_ms=number,
        finished_ms=number + 1,
    )


def search_data_of(table: TrialTable, metric: str = METRIC) -> SearchData:
    return search_data(table, "challenger", metric)


def saltelli(blocks: int, dimensions: int, *, second_order: bool = False) -> tuple[Saltelli, int]:
    """Return Saltelli's design and the trials of so many blocks."""
    design = Saltelli(second_order=second_order)
    return design, blocks * design.block_size(dimensions)


def with_one_replica(table: TrialTable) -> TrialTable:
    """Keep the first replica of every trial."""
    rows = [
        replace(
            row,
            seeds=row.seeds[:1],
            reports=tuple(
                replace(r, metrics={k: v[:1] for k, v in r.metrics.items()}) for r in row.reports
            ),
        )
        for row in table.rows
    ]
    return replace(table, rows=tuple(rows))


SOBOL = Sobol()

ISHIGAMI_AXES: dict[str, Dimension] = {
    name: FloatDimension(low=-np.pi, high=np.pi) for name in ("alpha", "beta", "split")
}
ISHIGAMI_FIRST = (0.3139, 0.4424, 0.0)
ISHIGAMI_TOTAL = (0.5576, 0.4424, 0.2437)
"""Closed forms for a = 7 and b = 0.1; the first and third dimension interact with 0.2437."""


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


WEIGHTS = np.array([3.0, 2.0, 1.0, 0.5, 0.0])
ADDITIVE = WEIGHTS**2 / (WEIGHTS**2).sum()
"""Shares of the variance of ``additive`` on ``UNIT``: first order and total are the same."""


def additive(x: np.ndarray) -> np.ndarray:
    return x @ WEIGHTS


def constant_surface(x: np.ndarray) -> np.ndarray:
    return np.zeros(len(x))
