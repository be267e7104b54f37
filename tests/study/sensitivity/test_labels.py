"""What things are called."""

import pytest

from search_spaces import SPACES
from study import dimension_labels
from study.sensitivity import (
    OCCLUSION_ORDERS,
    arm_label,
    dimension_axis,
    dimension_symbol,
    labels,
    metric_label,
    order_label,
)
from trainables.methods import METHODS


@pytest.mark.parametrize(
    ("key", "axis", "direction"),
    [
        ("test/accuracy", "Test accuracy [%]", "maximise"),
        ("val/auc", "Validation AUC [%]", "maximise"),
        ("test/nll", "Test NLL [nats]", "minimise"),
        ("test/brier_mean", "Test Brier score", "minimise"),
        ("train/loss", "Training loss [nats]", "minimise"),
        ("filter_cosine/mean", "Filter cosine, mean over layers", "minimise"),
        ("filter_cosine/conv2", "Filter cosine, conv2", "minimise"),
        ("something/else", "Something/else", "maximise"),
        ("test/majority_accuracy", "Test accuracy of the majority class [%]", "maximise"),
        ("test/auc_classes", "Test classes behind the AUC", "maximise"),
        ("occlusion/none", "Test result, nothing hidden [%]", "maximise"),
        (
            "occlusion/random/0.25",
            "Test result, share 0.25 hidden at random [%]",
            "maximise",
        ),
        (
            "occlusion/most_relevant/1.0",
            "Test result, share 1.0 hidden most relevant first [%]",
            "maximise",
        ),
        ("occlusion/other/0.25", "Occlusion/other/0.25", "maximise"),
        ("occlusion/random", "Occlusion/random", "maximise"),
        (
            "test_bootstrap/accuracy/low",
            "Test accuracy, lower end over test samples [%]",
            "maximise",
        ),
        ("test_bootstrap/auc/high", "Test AUC, upper end over test samples [%]", "maximise"),
        ("test_bootstrap/draws", "Draws of the test samples", "maximise"),
        ("test_bootstrap/auc/middle", "Test_bootstrap/auc/middle", "maximise"),
    ],
)
def test_a_metric_has_a_name_a_unit_and_a_direction(key: str, axis: str, direction: str):
    assert (metric_label(key).axis, metric_label(key).direction) == (axis, direction)


def test_dimensions_have_the_papers_symbols():
    assert [dimension_symbol(d) for d in ("top_k", "alpha", "eta")] == ["K", "α", "eta"]
    assert dimension_axis("n_features") == "Challenged input features, N"


def test_orders_of_hiding_have_names_for_people():
    assert [order_label(order) for order in OCCLUSION_ORDERS] == [
        "at random",
        "most relevant first",
    ]


def test_an_arm_named_after_its_method_is_called_by_it():
    assert arm_label("challenger", "challenger") == "Challenger"
    assert arm_label("challenger-k5", "challenger") == "challenger-k5"


def test_every_method_and_every_searched_dimension_has_a_name_for_people():
    assert [name for name in METHODS if name not in labels._METHODS] == []
    searched = {name for space in SPACES.values() for name in space.searched}
    assert sorted(searched - set(dimension_labels._DIMENSIONS)) == []
