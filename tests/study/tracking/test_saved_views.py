"""Views of runs that MLflow's page offers; that it understands them is seen in the browser."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from study.records.trial_table import TrialTable
from study.tracking.logged_metrics import logged_metrics
from study.tracking.saved_views import ViewedStudy, is_first_view, view_tags
from tests.support.trial_tables import DATASET, MODEL, TableShape, make_trial_table

EARLY = ViewedStudy(
    objective="val/nll",
    is_higher_better=False,
    dimensions=("top_k", "alpha"),
    swept=("top_k",),
)


@pytest.fixture(scope="module")
def table() -> TrialTable:
    shape = TableShape(replicas=3, layers=8, sweep=(1, 5), search_trials=4, epochs=2)
    return replace(make_trial_table(shape), objective="val/nll", direction="minimize")


@pytest.fixture(scope="module")
def study(table: TrialTable) -> ViewedStudy:
    """Return a study with results."""
    return replace(EARLY, workloads=((DATASET, MODEL),), logged=logged_metrics(table))


def states(study: ViewedStudy) -> dict[str, dict[str, Any]]:
    """Read the views as MLflow does: an envelope with the state as text, maybe compressed."""
    found = {}
    for tag, text in view_tags(study).items():
        envelope = json.loads(text)
        assert isinstance(envelope["name"], str)
        assert isinstance(envelope["createdAt"], int)
        packed = envelope["state"].partition("deflate;")[2]
        state = zlib.decompress(base64.b64decode(packed)) if packed else envelope["state"]
        found[tag.removeprefix("mlflow.sharedViewState.")] = json.loads(state)
    return found


def names(study: ViewedStudy) -> list[str]:
    return [json.loads(text)["name"] for text in view_tags(study).values()]


TABLES = [
    "Arms",
    "Arms with their trials",
    "Search trials",
    "Final trials",
    "Final trials over K",
]


def test_the_sensitivity_comes_first_as_soon_as_there_are_results(study: ViewedStudy) -> None:
    charts = [
        "Sensitivity to K",
        "Filter cosine and learning over epochs",
        "Search as parallel coordinates",
    ]
    assert names(EARLY) == TABLES
    assert names(study) == [*charts, *TABLES]
    assert names(replace(study, swept=())) == [*charts[1:], *TABLES[:-1]]


@pytest.mark.parametrize("has_results", [False, True])
def test_the_menu_shows_them_in_this_order_and_the_first_is_opened(
    study: ViewedStudy, has_results: bool
) -> None:
    """MLflow sorts the latest first."""
    tags = view_tags(study if has_results else EARLY)
    times = [json.loads(text)["updatedAt"] for text in tags.values()]
    assert times == sorted(set(times), reverse=True)
    first = [tag for tag, text in tags.items() if is_first_view(tag, text)]
    assert first == [f"mlflow.sharedViewState.{'over-top_k' if has_results else 'arms'}"]


def test_the_curves_over_a_dimension_have_its_values_as_axis(study: ViewedStudy) -> None:
    state = states(study)["over-top_k"]
    charts = state["compareRunCharts"]
    keys = [chart["metricKey"].removeprefix("sensitivity/top_k/") for chart in charts]
    assert keys[:4] == ["test_nll", "test_accuracy", "test_auc", "filter_cosine_mean"]
    assert keys[4:] == [f"filter_cosine_conv{number}" for number in range(1, 9)]
    for chart in charts:
        assert (chart["xAxisKey"], chart["selectedXAxisMetricKey"]) == ("metric", "top_k")
        assert (chart["lineSmoothness"], chart["useGlobalLineSmoothing"]) == (0, False)
    assert charts[0]["selectedMetricKeys"] == [
        f"sensitivity/top_k/test_nll{end}" for end in ("", "_ci_low", "_ci_high")
    ]
    assert state["runsHiddenMode"] == "SHOW_ALL"


def test_every_metric_that_a_chart_shows_is_logged(study: ViewedStudy, table: TrialTable) -> None:
    assert study.logged is not None
    logged = {key for curve in study.logged.curves for key in curve.keys}
    reported = {key for row in table.rows for report in row.reports for key in report.metrics}
    ends = {f"{key}{end}" for key in reported for end in ("_ci_low", "_ci_high")}
    for view in states(study).values():
        for chart in view.get("compareRunCharts", ()):
            assert set(chart.get("selectedMetricKeys", ())) <= logged | reported | ends


def test_sections_that_mlflow_makes_of_all_metrics_are_folded(study: ViewedStudy) -> None:
    for key in ("over-top_k", "over-epochs", "over-search"):
        state = states(study)[key]
        shown = {each["uuid"] for each in state["compareRunSections"] if each["display"]}
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == shown
        folded = {each["name"] for each in state["compareRunSections"] if not each["display"]}
        assert folded >= {"", "Model metrics", "System metrics", "test", "val", "cost"}
        assert "sensitivity/top_k" in folded


def test_each_workload_has_its_own_sensitivity(study: ViewedStudy) -> None:
    many = replace(study, workloads=((DATASET, MODEL), ("Mel's 'digits'", MODEL)))
    assert names(many)[:2] == [
        f"Sensitivity to K · {DATASET}, {MODEL}",
        f"Sensitivity to K · Mel's 'digits', {MODEL}",
    ]
    # A quote cannot be escaped in MLflow's language of filters.
    assert states(many)["over-top_k-1"]["searchFilter"] == (
        f"tags.kind = 'arm' AND tags.dataset LIKE 'Mel_s _digits_' AND tags.model LIKE '{MODEL}'"
    )


def test_the_search_is_drawn_as_parallel_coordinates_with_the_objective_last(
    study: ViewedStudy,
) -> None:
    parallel, *scatter = states(study)["over-search"]["compareRunCharts"]
    assert parallel["selectedParams"] == ["top_k", "alpha"]
    assert parallel["selectedMetrics"] == ["val/nll"]
    assert [chart["xaxis"]["key"] for chart in scatter] == ["top_k", "alpha"]


def test_a_mean_stands_beside_its_interval_and_before_the_params() -> None:
    assert states(EARLY)["final"]["selectedColumns"] == [
        "metrics.`test/nll`",
        "metrics.`test/nll_ci_low`",
        "metrics.`test/nll_ci_high`",
        "metrics.`val/nll`",
        "metrics.`val/nll_std`",
        "metrics.`cost/trained_s`",
        "params.`top_k`",
        "params.`alpha`",
        "tags.`arm`",
        "tags.`is_chosen`",
    ]


def test_the_best_come_first_whatever_the_direction() -> None:
    for study, is_ascending in ((EARLY, True), (replace(EARLY, is_higher_better=True), False)):
        view = states(study)["search"]
        assert view["orderByKey"] == "metrics.`val/nll`"
        assert view["orderByAsc"] is is_ascending


def test_arms_with_their_trials_stand_in_the_one_order_in_which_mlflow_nests() -> None:
    tree = states(EARLY)["tree"]
    assert (tree["searchFilter"], tree["orderByKey"]) == ("", "attributes.start_time")
    assert tree["orderByAsc"] is False


def test_a_sweeps_trials_stand_by_their_value_and_no_others_among_them() -> None:
    view = states(EARLY)["trials-top_k"]
    assert view["searchFilter"] == "tags.`over/top_k` = 'true'"
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`top_k`", True)
    assert view["groupBy"] is None


def test_every_shown_column_has_a_place_and_a_width(study: ViewedStudy) -> None:
    for view in states(study).values():
        assert view["columnOrder"] == ["attributes.`Run Name`", *view["selectedColumns"]]
        assert set(view["columnWidths"]) == set(view["columnOrder"])


def test_a_search_over_many_dimensions_fits_into_a_tag(study: ViewedStudy) -> None:
    many = tuple(f"a_dimension_with_a_long_name_{number:02}" for number in range(20))
    sizes = [len(text) for text in view_tags(replace(study, dimensions=many)).values()]
    # What MLflow's databases hold of an experiment's tag.
    assert max(sizes) <= 5000
