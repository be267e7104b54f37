from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from tests.oracles.metrics import expected_calibration_error, softmax
from trainables.metrics import METRICS, accuracy, auc, brier, brier_mean, ece, nll

# Large enough to hold every seed, small enough to shrink well.
SEEDS = st.integers(0, 2**32 - 1)


def sample(seed: int, classes: int, count: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(count, classes, generator=generator)
    return logits, torch.randint(classes, (count,), generator=generator)


def saturated(targets: torch.Tensor, classes: int, right: int) -> torch.Tensor:
    """Predict the first ``right`` samples' classes with certainty, and the others wrongly."""
    predicted = targets.clone()
    predicted[right:] = (predicted[right:] + 1) % classes
    return 1e4 * torch.nn.functional.one_hot(predicted, classes).float()


@given(seed=SEEDS, classes=st.integers(2, 12), scale=st.floats(0.01, 50))
def test_the_likelihood_bounds_the_brier_score(seed, classes, scale):
    # -ln p ≥ 1.2277 · Brier for any prediction: the envelope of -ln(1 - √(B/2)).
    logits, targets = sample(seed, classes, 20, scale)
    assert float(nll(logits, targets)) >= 1.2277 * float(brier(logits, targets))


@pytest.mark.parametrize("right", [0, 1, 13, 20])
def test_certain_predictions_have_brier_and_ece_of_their_error_rate(right):
    targets = torch.arange(20) % 4
    logits = saturated(targets, 4, right)
    error = 1 - right / 20
    assert float(accuracy(logits, targets)) == pytest.approx(1 - error, abs=1e-15)
    assert float(brier(logits, targets)) == pytest.approx(2 * error, abs=1e-15)
    assert float(ece(logits, targets)) == pytest.approx(error, abs=1e-15)


@pytest.mark.parametrize("bins", [10, 15])
@given(seed=SEEDS, classes=st.integers(2, 10), scale=st.floats(0.1, 10))
def test_ece_is_its_definition_over_right_closed_bins(bins, seed, classes, scale):
    logits, targets = sample(seed, classes, 60, scale)
    expected = expected_calibration_error(logits.numpy(), targets.numpy(), bins)
    assert float(ece(logits, targets, bins=bins)) == pytest.approx(expected, abs=1e-12)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    # Confidences 0.5 and 0.55 share a bin only if bins were closed on the left; the first is
    # right and the second wrong, so that sharing would cancel most of the error.
    logits = torch.tensor([[0.0, 0.0], [math.log(0.55 / 0.45), 0.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1])
    assert float(ece(logits, targets)) == pytest.approx((0.5 + 0.55) / 2, abs=1e-12)


def test_a_uniform_prediction_over_ten_classes_falls_into_the_first_bin():
    logits = torch.zeros(10, 10)
    assert float(ece(logits, torch.arange(10))) == pytest.approx(0, abs=1e-15)


@given(seed=SEEDS, classes=st.integers(3, 8), levels=st.integers(1, 6))
def test_auc_agrees_with_scikit_learn_also_with_ties(seed, classes, levels):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(levels, (50, classes), generator=generator).float()
    others = torch.randint(classes, (50 - classes,), generator=generator)
    targets = torch.cat([torch.arange(classes), others])
    scores = logits.double().softmax(1).numpy()
    expected = roc_auc_score(targets.numpy(), scores, multi_class="ovr", average="macro")
    assert float(auc(logits, targets)) == pytest.approx(expected, abs=1e-12)


def test_auc_leaves_out_classes_that_no_sample_has():
    logits, targets = sample(0, 5, 40, 1.0)
    targets = targets % 3
    scores = logits.double().softmax(1).numpy()
    expected = np.mean([roc_auc_score(targets.numpy() == k, scores[:, k]) for k in range(3)])
    assert float(auc(logits, targets)) == pytest.approx(expected, abs=1e-12)


def test_auc_is_nan_if_only_one_class_occurs():
    logits, _ = sample(0, 3, 8, 1.0)
    assert math.isnan(float(auc(logits, torch.zeros(8, dtype=torch.long))))


@pytest.mark.parametrize(("sign", "area"), [(1, 1.0), (-1, 0.0), (0, 0.5)])
def test_auc_of_perfect_reversed_and_constant_scores(sign, area):
    targets = torch.arange(12) % 3
    logits = sign * torch.nn.functional.one_hot(targets, 3).float()
    assert float(auc(logits, targets)) == area


@given(seed=SEEDS, classes=st.integers(2, 10), scale=st.floats(0.1, 20))
def test_accuracy_nll_and_brier_are_their_definitions(seed, classes, scale):
    logits, targets = sample(seed, classes, 30, scale)
    scores, labels = softmax(logits.double().numpy()), targets.numpy()
    one_hot = np.eye(classes)[labels]
    assert float(accuracy(logits, targets)) == pytest.approx((scores.argmax(1) == labels).mean())
    expected = -np.log(scores[np.arange(30), labels]).mean()
    assert float(nll(logits, targets)) == pytest.approx(expected, rel=1e-9)
    assert float(brier(logits, targets)) == pytest.approx(
        ((scores - one_hot) ** 2).sum() / 30, rel=1e-9
    )
    assert float(brier_mean(logits, targets)) == pytest.approx(
        float(brier(logits, targets)) / classes, rel=1e-12
    )


def test_nll_agrees_with_scikit_learn():
    logits, targets = sample(3, 4, 50, 2.0)
    scores = logits.double().softmax(1).numpy()
    expected = log_loss(targets.numpy(), scores, labels=range(4))
    assert float(nll(logits, targets)) == pytest.approx(expected, rel=1e-12)


def test_nll_of_a_certain_mistake_is_finite_because_it_is_computed_from_logits():
    logits = torch.tensor([[1e4, 0.0]])
    assert float(nll(logits, torch.tensor([1]))) == 1e4


def test_every_metric_is_one_number_in_double_precision():
    logits, targets = sample(0, 10, 40, 1.0)
    for metric in METRICS.values():
        value = metric.compute(logits, targets)
        assert value.shape == ()
        assert value.dtype == torch.float64


def test_the_directions():
    assert {name: metric.higher_is_better for name, metric in METRICS.items()} == {
        "accuracy": True,
        "auc": True,
        "nll": False,
        "brier": False,
        "brier_mean": False,
        "ece10": False,
        "ece15": False,
    }


@pytest.mark.parametrize("name", METRICS)
def test_a_good_model_is_better_than_a_bad_one_in_its_direction(name):
    targets = torch.arange(40) % 4
    good, bad = saturated(targets, 4, 40), saturated(targets, 4, 4)
    metric = METRICS[name]
    gain = float(metric.compute(good, targets) - metric.compute(bad, targets))
    assert (gain > 0) == metric.higher_is_better
    assert gain != 0


def test_the_two_calibration_errors_use_10_and_15_bins():
    # Neither always too sure nor always too unsure: else the bins would not matter.
    logits, _ = sample(1, 5, 200, 2.0)
    targets = (logits + 2 * torch.randn(200, 5)).argmax(1)
    for name, bins in (("ece10", 10), ("ece15", 15)):
        expected = expected_calibration_error(logits.numpy(), targets.numpy(), bins)
        assert float(METRICS[name].compute(logits, targets)) == pytest.approx(expected)
    assert METRICS["ece10"].compute(logits, targets) != METRICS["ece15"].compute(logits, targets)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("per_label", [False, True])
def test_no_metric_has_a_value_where_one_logit_is_not_finite(value, per_label):
    logits, targets = sample(0, 4, 20, 1.0)
    labels = torch.nn.functional.one_hot(targets, 4).float() if per_label else targets
    assert all(metric.compute(logits, labels).isfinite() for metric in METRICS.values())
    logits[3, 2] = value
    found = {name: float(metric.compute(logits, labels)) for name, metric in METRICS.items()}
    assert all(map(math.isnan, found.values())), found
