"""A record of every figure, made of tables with realistic numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces import CategoricalDimension, FloatDimension, IntDimension, Sobol
from study.figures import FIGURES
from study.figures.importance_bars import Importances
from study.figures.rendering import Specification, specification
from study.records.trial_table import StoredReport, TrialTable
from study.report.panel import ReportPanel
from study.sensitivity import (
    TEST_METRICS,
    arm_curves,
    average_ranks,
    compare,
    cosine_and_accuracy,
    cosine_over_epochs,
    filter_cosine,
    filter_cosine_over_dimension,
    learning_curves,
    maps_with_controls,
    robustness,
    search_history,
    search_points,
    sweep_curve,
    transfer,
    workloads,
)
from study.sensitivity.importance import importance, interactions, partial_dependence
from tests.support.search_designs import design_table, search_data_of
from tests.support.transfer_tables import transfer_table_of
from tests.support.trial_tables import (
    TableShape,
    constant_table,
    make_trial_table,
    occluded,
    with_row,
    write_maps,
)

TABLE = make_trial_table(TableShape(replicas=3, layers=3))
METRICS = ("test/accuracy", "test/auc")
_AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "attribution": CategoricalDimension(choices=("lrp", "input_x_gradient", "saliency")),
}


def followed(table: TrialTable = TABLE) -> TrialTable:
    """Let every chosen configuration be evaluated six times: its loss falls, it gets better."""
    for arm in table.arms:
        row = table.chosen(arm.name)
        assert row is not None
        first, last = row.reports
        between = tuple(
            StoredReport(
                epoch=epoch,
                time_ms=epoch,
                metrics={
                    "train/loss": tuple(2.3 * 0.9 ** (epoch + i) for i in range(len(row.seeds))),
                    "val/accuracy": tuple(
                        value * (1 - 0.8 ** (epoch / 5)) for value in last.metrics["val/accuracy"]
                    ),
                },
            )
            for epoch in (10, 20, 40, 60, 80)
        )
        table = with_row(table, replace(row, reports=(first, *between, last)))
    return table


def curves(table: TrialTable = TABLE) -> Any:  # noqa: ANN401
    return [sweep_curve(table, "challenger", "top_k", metric) for metric in METRICS]


def choices() -> Any:  # noqa: ANN401
    names = ("epsilon_lrp", "integrated_gradients", "input_x_gradient", "guided_backprop", "none")
    values = {name: (0.60 + i / 50, 0.62 + i / 40) for i, name in enumerate(names)}
    table = constant_table({"base": {0: (0.50, 0.53)}, "challenger": values})
    return [sweep_curve(table, "challenger", "top_k", "test/accuracy")]


def shared_sweep() -> Any:  # noqa: ANN401
    arms, rows = [], []
    for seed, data in enumerate(("digits", "letters")):
        table = make_trial_table(seed=seed)
        arms += [replace(arm, name=f"{data}-{arm.name}", dataset=data) for arm in table.arms]
        rows += [replace(row, arm=f"{data}-{row.arm}") for row in table.rows]
    table = replace(TABLE, arms=tuple(arms), rows=tuple(rows))
    return arm_curves(table, "top_k", METRICS)


def ranked() -> Any:  # noqa: ANN401
    arms, rows = [], []
    for i in range(6):
        methods = ("base", "random", "fgsm", "challenger")
        values = {name: (0.5 + j / 20 + i / 90,) * 2 for j, name in enumerate(methods)}
        one = constant_table({name: {0: value} for name, value in values.items()})
        arms += [replace(arm, name=f"{arm.name}-{i}", dataset=f"data{i}") for arm in one.arms]
        rows += [replace(row, arm=f"{row.arm}-{i}") for row in one.rows]
    return average_ranks(replace(TABLE, arms=tuple(arms), rows=tuple(rows)), "test/accuracy")


@cache
def _design() -> TrialTable:
    def surface(x: np.ndarray) -> np.ndarray:
        return 0.03 * x[:, 0] + 0.02 * x[:, 1] + 0.4

    return design_table(surface, axes=_AXES, trials=64, design=Sobol(), noise=0.05)


@cache
def many() -> Any:  # noqa: ANN401
    """A search of so many trials that their density is drawn."""

    def surface(x: np.ndarray) -> np.ndarray:
        return 0.03 * x[:, 0] + 0.4

    table = design_table(surface, axes=_AXES, trials=512, design=Sobol(), noise=0.05)
    return search_points(table, "challenger")


def maps(folder: Path, channels: int = 1) -> Any:  # noqa: ANN401
    write_maps(TABLE, folder, samples=5, channels=channels)
    return maps_with_controls(TABLE, folder, workloads(TABLE)[0], TABLE.arm("challenger"))


def _setting(table: TrialTable = TABLE) -> Any:  # noqa: ANN401
    return workloads(table)[0]


RECORDS: Mapping[str, Callable[[], Any]] = {
    "forest_plot": lambda: compare(TABLE, (*TEST_METRICS, "filter_cosine/mean")),
    "rank_diagram": ranked,
    "sweep_curve": curves,
    "sweep_curve of choices": choices,
    "sweep_of_arms": shared_sweep,
    "learning_lines": lambda: learning_curves(followed(), _setting()),
    "importance_bars": lambda: Importances(
        records=(importance(search_data_of(_design()), "given_first"),), notes=()
    ),
    "interaction_bars": lambda: interactions(search_data_of(_design())),
    "dependence_curves": lambda: partial_dependence(search_data_of(_design())),
    "transfer_dots": lambda: transfer(transfer_table_of(), "challenger"),
    "occlusion_lines": lambda: robustness(occluded(TABLE), _setting(occluded(TABLE))),
    "layer_differences": lambda: filter_cosine(TABLE, _setting()),
    "layers_over_dimension": lambda: filter_cosine_over_dimension(TABLE, "challenger", "top_k"),
    "layers_over_epochs": lambda: cosine_over_epochs(TABLE, _setting()),
    "layer_levels": lambda: filter_cosine(TABLE, _setting()),
    "levels_over_dimension": lambda: filter_cosine_over_dimension(TABLE, "challenger", "top_k"),
    "levels_over_epochs": lambda: cosine_over_epochs(TABLE, _setting()),
    "cosine_scatter": lambda: [cosine_and_accuracy(TABLE, _setting(), "final", "test/accuracy")],
    "trial_history": lambda: search_history(TABLE, "challenger"),
    "trial_slices": lambda: search_points(TABLE, "challenger"),
    "trial_slices of many": many,
    "parallel_coordinates": lambda: search_points(
        make_trial_table(TableShape(search_trials=60)), "challenger"
    ),
    "parallel_coordinates of many": many,
}
"""Name of the figure, and what it is of, to its record; attribution maps need a folder."""


@cache
def record_of(name: str) -> Any:  # noqa: ANN401
    return RECORDS[name]()


@cache
def spec_of(name: str) -> Specification:
    return specification(FIGURES[name.partition(" ")[0]].chart(record_of(name)))


@cache
def panel_of(name: str) -> ReportPanel:
    return ReportPanel(
        name=name.replace(" ", "-"),
        title=name,
        arms=(),
        place=FIGURES[name.partition(" ")[0]].place,
        figure=name.partition(" ")[0],
        spec=spec_of(name),
        caption=FIGURES[name.partition(" ")[0]].caption(record_of(name)),
    )


def rows_of(spec: Specification) -> list[dict[str, Any]]:
    """Return all rows of all data in a specification."""
    return [row for rows in spec["datasets"].values() for row in rows]
