"""Labels of dimensions, metrics and arms."""

import pytest

from study.config.parameters import dimension_names, searched
from study.sensitivity import (
    OCCLUSION_ORDERS,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
    order_label,
)
from trainables.methods import METHODS


@pytest.mark.parametrize(
    ("key", "axis", "direction"),
    [
        ("test/accuracy", "Test accuracy [%]", "maximize"),
        ("val/auc", "Validation AUC [%]", "maximize"),
        ("test/nll", "Test NLL [nats]", "minimize"),
        ("test/brier_mean", "Test Brier score", "minimize"),
        ("train/loss", "Training loss [nats]", "minimize"),
        ("filter_cosine/mean", "Filter cosine, mean over layers", "minimize"),
        ("filter_cosine/conv2", "Filter cosine, conv2", "minimize"),
        ("something/else", "Something/else", "maximize"),
        ("test/majority_accuracy", "Test accuracy of the majority class [%]", "maximize"),
        ("test/auc_classes", "Test classes behind the AUC", "maximize"),
        ("occlusion/none", "Test result, nothing hidden [%]", "maximize"),
        (
            "occlusion/random/0.25",
            "Test result, share 0.25 hidden at random [%]",
            "maximize",
        ),
        (
            "occlusion/most_relevant/1.0",
            "Test result, share 1.0 hidden most relevant first [%]",
            "maximize",
        ),
        ("occlusion/other/0.25", "Occlusion/other/0.25", "maximize"),
        ("occlusion/random", "Occlusion/random", "maximize"),
        (
            "test_bootstrap/accuracy/low",
            "Test accuracy, lower end over test samples [%]",
            "maximize",
        ),
        ("test_bootstrap/auc/high", "Test AUC, upper end over test samples [%]", "maximize"),
        ("test_bootstrap/resamples", "Resamples of the test samples", "maximize"),
        ("test_bootstrap/auc/middle", "Test_bootstrap/auc/middle", "maximize"),
    ],
)
def test_a_metric_has_a_name_a_unit_and_a_direction(key: str, axis: str, direction: str):
    assert (metric_label(key).axis, metric_label(key).direction) == (axis, direction)


def test_dimensions_have_the_papers_symbols():
    assert [dimension_symbol(d) for d in ("top_k", "alpha", "eta")] == ["K", "α", "eta"]
    assert dimension_axis("n_features") == "Challenged input features, N"


def test_orders_of_hiding_have_labels():
    assert [order_label(order) for order in OCCLUSION_ORDERS] == [
        "at random",
        "most relevant first",
    ]


def test_an_arm_named_after_its_method_has_its_label():
    assert arm_label("challenger", "challenger") == "Challenger"
    assert arm_label("challenger-k5", "challenger") == "challenger-k5"


def test_every_method_and_every_searched_dimension_has_a_label():
    assert all(arm_label(name, name) == method.label for name, method in METHODS.items())
    named = {name for name in dimension_names() if dimension_axis(name) != name}
    assert {name for method in METHODS.values() for name in searched(method)} <= named
