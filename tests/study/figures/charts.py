"""Every chart of the figures, made of tables with realistic numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from matplotlib.figure import Figure

from search_spaces import CategoricalDimension, FloatDimension, IntDimension, Sobol
from study import figures
from study.figures import importance as importance_figure
from study.figures import interactions as interactions_figure
from study.figures import partial_dependence as dependence_figure
from study.figures import static
from study.figures.chart import Chart
from study.records.trial_table import TrialTable
from study.sensitivity import (
    arm_curves,
    average_ranks,
    cosine_and_accuracy,
    cosine_over_epochs,
    filter_cosine,
    filter_cosine_over_dimension,
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
from tests.support.trial_tables import TableShape, constant_table, make_trial_table, occluded

TABLE = make_trial_table(TableShape(replicas=3, layers=3))
METRICS = ("test/accuracy", "test/auc")
_AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "attribution": CategoricalDimension(choices=("lrp", "input_x_gradient", "saliency")),
}


def curve(table: TrialTable = TABLE) -> Chart:
    curves = [sweep_curve(table, "challenger", "top_k", metric) for metric in METRICS]
    return figures.dimension_curve.chart(curves)


def choices() -> Chart:
    names = ("epsilon_lrp", "integrated_gradients", "input_x_gradient", "guided_backprop", "none")
    values = {name: (0.60 + i / 50, 0.62 + i / 40) for i, name in enumerate(names)}
    table = constant_table({"base": {0: (0.50, 0.53)}, "challenger": values})
    return figures.dimension_curve.chart(
        [sweep_curve(table, "challenger", "top_k", "test/accuracy")]
    )


def cosine() -> Chart:
    return figures.filter_cosine.chart(filter_cosine(TABLE, workloads(TABLE)[0]))


def cosine_curves() -> Chart:
    record = filter_cosine_over_dimension(TABLE, "challenger", "top_k")
    return figures.filter_cosine_over_dimension.chart(record)


def hidden_inputs() -> Chart:
    table = occluded(TABLE)
    return figures.robustness.chart(robustness(table, workloads(table)[0]))


def history() -> Chart:
    return figures.search_history.chart(search_history(TABLE, "challenger"))


def elsewhere() -> Chart:
    return figures.transfer.chart(transfer(transfer_table_of(), "challenger"))


def shared_sweep() -> Chart:
    arms, rows = [], []
    for seed, data in enumerate(("digits", "letters")):
        table = make_trial_table(seed=seed)
        arms += [replace(arm, name=f"{data}-{arm.name}", dataset=data) for arm in table.arms]
        rows += [replace(row, arm=f"{data}-{row.arm}") for row in table.rows]
    table = replace(TABLE, arms=tuple(arms), rows=tuple(rows))
    return figures.arm_curves.chart(arm_curves(table, "top_k", METRICS))


def cosines_and_accuracies() -> Chart:
    setting = workloads(TABLE)[0]
    return figures.cosine_and_accuracy.chart(
        [cosine_and_accuracy(TABLE, setting, "final", "test/accuracy")]
    )


def cosines_over_epochs() -> Chart:
    return figures.cosine_over_epochs.chart(cosine_over_epochs(TABLE, workloads(TABLE)[0]))


def methods_ranked() -> Chart:
    arms, rows = [], []
    for i in range(6):
        methods = ("base", "random", "fgsm", "challenger")
        values = {name: (0.5 + j / 20 + i / 90,) * 2 for j, name in enumerate(methods)}
        one = constant_table({name: {0: value} for name, value in values.items()})
        arms += [replace(arm, name=f"{arm.name}-{i}", dataset=f"data{i}") for arm in one.arms]
        rows += [replace(row, arm=f"{row.arm}-{i}") for row in one.rows]
    table = replace(TABLE, arms=tuple(arms), rows=tuple(rows))
    return figures.ranks.chart(average_ranks(table, "test/accuracy"))


def searched_slices() -> Chart:
    return figures.search_points.slices(search_points(TABLE, "challenger"))


def searched_coordinates() -> Chart:
    table = make_trial_table(TableShape(search_trials=120))
    return figures.search_points.coordinates(search_points(table, "challenger"))


@cache
def _design() -> TrialTable:
    def surface(x: np.ndarray) -> np.ndarray:
        return 0.03 * x[:, 0] + 0.02 * x[:, 1] + 0.4

    return design_table(surface, axes=_AXES, trials=64, design=Sobol(), noise=0.05)


def importances() -> Chart:
    return importance_figure.chart([importance(search_data_of(_design()), "given_first")])


def pairs() -> Chart:
    return interactions_figure.chart(interactions(search_data_of(_design())))


def dependences() -> Chart:
    return dependence_figure.chart(partial_dependence(search_data_of(_design())))


CHARTS: Mapping[str, Callable[[], Chart]] = {
    "arm_curves": shared_sweep,
    "cosine_and_accuracy": cosines_and_accuracies,
    "cosine_over_epochs": cosines_over_epochs,
    "dimension_curve": curve,
    "dimension_curve of choices": choices,
    "filter_cosine": cosine,
    "filter_cosine_over_dimension": cosine_curves,
    "importance": importances,
    "interactions": pairs,
    "partial_dependence": dependences,
    "ranks": methods_ranked,
    "robustness": hidden_inputs,
    "search_history": history,
    "search_points as slices": searched_slices,
    "search_points as coordinates": searched_coordinates,
    "transfer": elsewhere,
}
"""File of the figure, and what it is of, to its chart."""


@cache
def chart_of(name: str) -> Chart:
    return CHARTS[name]()


@cache
def figure_of(name: str) -> Figure:
    """Draw a chart with Matplotlib once for all tests that only look at it."""
    return static.draw(chart_of(name))
