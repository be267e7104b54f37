"""Views of runs that MLflow's page offers; that it understands them is seen in the browser."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from study.tracking.saved_views import ViewedStudy, view_tags

STUDY = ViewedStudy(
    objective="val/nll",
    is_higher_better=False,
    dimensions=("top_k", "alpha"),
    swept=("top_k",),
)


def states(study: ViewedStudy) -> dict[str, dict[str, Any]]:
    """Read the views as MLflow does: an envelope with the state as text."""
    found = {}
    for tag, text in view_tags(study).items():
        envelope = json.loads(text)
        assert isinstance(envelope["name"], str)
        assert isinstance(envelope["createdAt"], int)
        found[tag.removeprefix("mlflow.sharedViewState.")] = json.loads(envelope["state"])
    return found


def test_there_is_a_view_of_arms_of_each_phase_and_of_each_sweep() -> None:
    names = [json.loads(text)["name"] for text in view_tags(STUDY).values()]
    assert names == [
        "Arms",
        "Arms with their trials",
        "Search trials",
        "Final trials",
        "Final trials by top_k",
    ]
    assert list(states(replace(STUDY, swept=()))) == ["arms", "tree", "search", "final"]


def test_the_menu_shows_them_in_this_order() -> None:
    """MLflow sorts the latest first."""
    times = [json.loads(text)["updatedAt"] for text in view_tags(STUDY).values()]
    assert times == sorted(times, reverse=True)


def test_a_mean_stands_beside_its_deviation_and_before_the_params() -> None:
    assert states(STUDY)["final"]["selectedColumns"] == [
        "metrics.`test/nll`",
        "metrics.`test/nll_std`",
        "metrics.`val/nll`",
        "metrics.`val/nll_std`",
        "metrics.`cost/trained_s`",
        "params.`top_k`",
        "params.`alpha`",
        "tags.`arm`",
        "tags.`is_chosen`",
    ]


def test_the_best_come_first_whatever_the_direction() -> None:
    for study, is_ascending in ((STUDY, True), (replace(STUDY, is_higher_better=True), False)):
        view = states(study)["search"]
        assert view["orderByKey"] == "metrics.`val/nll`"
        assert view["orderByAsc"] is is_ascending


def test_arms_with_their_trials_stand_in_the_one_order_in_which_mlflow_nests() -> None:
    tree = states(STUDY)["tree"]
    assert (tree["searchFilter"], tree["orderByKey"]) == ("", "attributes.start_time")
    assert tree["orderByAsc"] is False


def test_a_sweep_is_grouped_by_its_values() -> None:
    assert states(STUDY)["over-top_k"]["groupBy"] == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "param", "groupByData": "top_k"}],
    }
    assert states(STUDY)["final"]["groupBy"] is None


def test_every_shown_column_has_a_place_and_a_width() -> None:
    for view in states(STUDY).values():
        assert view["columnOrder"] == ["attributes.`Run Name`", *view["selectedColumns"]]
        assert set(view["columnWidths"]) == set(view["columnOrder"])


def test_a_search_over_many_dimensions_fits_into_a_tag() -> None:
    many = tuple(f"a_dimension_with_a_long_name_{number:02}" for number in range(20))
    sizes = [len(text) for text in view_tags(replace(STUDY, dimensions=many)).values()]
    # MLflow's limit for the value of an experiment's tag.
    assert max(sizes) <= 5000
