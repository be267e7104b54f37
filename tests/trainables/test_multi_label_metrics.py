"""Metrics of data whose samples may have several classes, against two other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
    multilabel_accuracy,
    multilabel_auroc,
)

from tests.oracles.metrics import one_label_calibration_error
from trainables.evaluation import compute_metrics
from trainables.metrics import (
    METRICS,
    accuracy,
    auc,
    auc_classes,
    brier,
    brier_mean,
    ece,
    nll,
    probabilities,
)

SEEDS = st.integers(0, 2**32 - 1)


def sample(seed: int, classes: int, count: int, scale: float = 2.0):
    """Draw logits and labels that follow them a little; every label occurs and is absent."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    targets = (logits + 2 * noise > 1).float()
    targets[0], targets[1] = 0, 1
    return logits, targets


def per_label(function, logits, targets) -> float:
    """Average a function of one label's probabilities and truths over the labels."""
    scores, truth = logits.double().sigmoid().numpy(), targets.double().numpy()
    return float(np.mean([function(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]))


@given(seed=SEEDS, classes=st.integers(1, 8), scale=st.floats(0.1, 20))
def test_accuracy_is_the_share_of_right_answers_label_by_label(seed, classes, scale):
    logits, targets = sample(seed, classes, 40, scale)
    expected = per_label(lambda y, p: accuracy_score(y, p > 0.5), logits, targets)
    assert float(accuracy(logits, targets)) == pytest.approx(expected, rel=1e-12)


def test_accuracy_agrees_with_torchmetrics():
    logits, targets = sample(1, 6, 50)
    expected = multilabel_accuracy(logits, targets.long(), num_labels=6, average="micro")
    assert float(accuracy(logits, targets)) == pytest.approx(float(expected), rel=1e-6)


def test_a_probability_of_one_half_is_no():
    assert float(accuracy(torch.zeros(2, 3), torch.zeros(2, 3))) == 1
    assert float(accuracy(torch.zeros(2, 3), torch.ones(2, 3))) == 0


# Beyond these logits scikit-learn, which is given probabilities, loses digits of 1 - p.
@given(seed=SEEDS, classes=st.integers(1, 8), scale=st.floats(0.1, 3))
def test_nll_is_the_binary_cross_entropy_per_sample_and_label(seed, classes, scale):
    logits, targets = sample(seed, classes, 40, scale)
    expected = per_label(lambda y, p: log_loss(y, p, labels=[0, 1]), logits, targets)
    assert float(nll(logits, targets)) == pytest.approx(expected, rel=1e-9)


def test_nll_of_a_certain_mistake_is_finite_because_it_is_computed_from_logits():
    assert float(nll(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))) == 1e4


@given(seed=SEEDS, classes=st.integers(1, 8), scale=st.floats(0.1, 20))
def test_brier_is_scikit_learns_averaged_or_summed_over_the_labels(seed, classes, scale):
    logits, targets = sample(seed, classes, 40, scale)
    expected = per_label(brier_score_loss, logits, targets)
    assert float(brier_mean(logits, targets)) == pytest.approx(expected, rel=1e-9)
    assert float(brier(logits, targets)) == pytest.approx(classes * expected, rel=1e-9)


@pytest.mark.parametrize("bins", [10, 15])
@given(seed=SEEDS, classes=st.integers(1, 6), scale=st.floats(0.1, 10))
def test_ece_is_that_of_each_label_averaged(bins, seed, classes, scale):
    logits, targets = sample(seed, classes, 50, scale)
    expected = per_label(lambda y, p: one_label_calibration_error(p, y, bins), logits, targets)
    assert float(ece(logits, targets, bins=bins)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [10, 15])
def test_ece_of_several_labels_agrees_with_torchmetrics(bins):
    logits, targets = sample(3, 5, 400)
    scores, labels = logits.sigmoid().T.contiguous(), targets.long().T.contiguous()
    each = [
        float(binary_calibration_error(scores[k], labels[k], n_bins=bins, norm="l1"))
        for k in range(5)
    ]
    assert min(each) > 0.01
    assert float(ece(logits, targets, bins=bins)) == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("bins", [10, 15])
@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_ece_of_one_class_per_sample_agrees_with_torchmetrics(bins, scale):
    logits, _ = sample(4, 7, 400, scale)
    targets = (logits + 2 * torch.randn(400, 7)).argmax(1)
    expected = multiclass_calibration_error(logits, targets, num_classes=7, n_bins=bins)
    assert float(expected) > 0.01
    assert float(ece(logits, targets, bins=bins)) == pytest.approx(float(expected), rel=1e-5)


@given(seed=SEEDS, classes=st.integers(1, 8), levels=st.integers(1, 6))
def test_auc_agrees_with_scikit_learn_also_with_ties(seed, classes, levels):
    _, targets = sample(seed, classes, 40)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(levels, (40, classes), generator=generator).double()
    expected = roc_auc_score(targets.numpy(), logits.sigmoid().numpy(), average="macro")
    assert float(auc(logits, targets)) == pytest.approx(expected, abs=1e-12)


def test_auc_agrees_with_torchmetrics():
    logits, targets = sample(5, 6, 200)
    expected = multilabel_auroc(logits.sigmoid(), targets.long(), num_labels=6)
    assert float(auc(logits, targets)) == pytest.approx(float(expected), rel=1e-6)


def test_auc_leaves_out_classes_that_no_sample_or_every_sample_has_and_counts_the_others():
    logits, targets = sample(6, 6, 60)
    targets[:, 1], targets[:, 4] = 0, 1
    others = [0, 2, 3, 5]
    scores = logits.sigmoid().numpy()
    expected = roc_auc_score(targets[:, others].numpy(), scores[:, others], average="macro")
    assert float(auc(logits, targets)) == pytest.approx(expected, abs=1e-12)
    assert int(auc_classes(logits, targets)) == 4


def test_without_any_class_to_compare_auc_is_nan_of_no_classes():
    logits = torch.randn(8, 3)
    assert math.isnan(float(auc(logits, torch.ones(8, 3))))
    assert int(auc_classes(logits, torch.ones(8, 3))) == 0


def test_auc_classes_of_one_class_per_sample_counts_those_that_occur():
    logits = torch.randn(8, 5)
    assert int(auc_classes(logits, torch.tensor([0, 0, 3, 3, 3, 4, 4, 0]))) == 3
    assert int(auc_classes(logits, torch.zeros(8, dtype=torch.long))) == 0


def test_auc_ranks_by_the_logit_where_probabilities_are_all_but_equal():
    # In double precision sigmoid(20) and sigmoid(30) differ; in single both would be 1.
    logits = torch.tensor([[20.0], [30.0], [25.0], [-5.0]])
    assert float(auc(logits, torch.tensor([[0.0], [1.0], [1.0], [0.0]]))) == 1


def test_probabilities_are_a_sigmoid_per_label():
    logits, targets = sample(7, 4, 10)
    torch.testing.assert_close(probabilities(logits, targets), 1 / (1 + (-logits).exp()))
    assert probabilities(logits.float(), targets).dtype == torch.float64


@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_two_classes_have_the_metrics_of_one_label(seed, scale):
    # Softmax over (0, z) is the sigmoid of z.
    logits, targets = sample(seed, 1, 40, scale)
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    classes = targets[:, 0].long()
    for metric in (accuracy, nll, auc, brier_mean):
        expected = float(metric(both, classes))
        assert float(metric(logits, targets)) == pytest.approx(expected, rel=1e-9)
    assert float(brier(both, classes)) == pytest.approx(2 * float(brier(logits, targets)))


def test_every_metric_is_one_number_in_double_precision():
    logits, targets = sample(0, 5, 30)
    for metric in METRICS.values():
        value = metric.compute(logits.float(), targets)
        assert value.shape == ()
        assert value.dtype == torch.float64


def test_an_evaluation_reports_all_of_them_and_how_many_classes_had_an_area():
    logits, targets = sample(8, 5, 30)
    targets[:, 2] = 0
    found = compute_metrics(logits, targets, "test")
    assert set(found) == {f"test/{name}" for name in (*METRICS, "auc_classes")}
    assert found["test/auc_classes"] == 4
    assert found["test/auc"] == float(auc(logits, targets))
    assert all(map(math.isfinite, found.values()))
