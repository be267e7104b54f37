from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from trainables.batch import is_multi_label, label_loss, soft_labels, true_class

LOGITS = torch.tensor([[1.0, 5.0, 3.0], [2.0, -1.0, 0.0], [-4.0, -5.0, -6.0], [0.0, 9.0, 1.0]])


def test_real_labels_are_those_of_multi_label_data():
    assert not is_multi_label(torch.tensor([0, 2]))
    assert is_multi_label(torch.tensor([[0.0, 1.0]]))


def test_the_true_class_is_the_label_itself():
    labels = torch.tensor([2, 0, 1, 1])
    assert true_class(labels) is labels


def test_of_several_true_classes_the_highest_ranked_is_explained():
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    # The last sample has no class: the highest-ranked of all stands in.
    assert true_class(labels)(LOGITS).tolist() == [2, 2, 2, 1]


@pytest.mark.parametrize("count", [1, 4])
def test_the_loss_is_summed_over_samples(count):
    classes, several = torch.tensor([2, 0, 1, 1])[:count], torch.eye(3)[[0, 1, 2, 0]][:count]
    logits = LOGITS[:count]
    expected = sum(-float(row.log_softmax(0)[k]) for row, k in zip(logits, classes, strict=True))
    assert float(label_loss(logits, classes)) == pytest.approx(expected, rel=1e-6)
    odds = torch.where(several == 1, logits, -logits)
    expected = float(-functional.logsigmoid(odds).sum())
    assert float(label_loss(logits, several)) == pytest.approx(expected, rel=1e-6)


def test_classes_become_one_hot_and_multi_labels_stay():
    soft = soft_labels(torch.tensor([2, 0]), 3, torch.float64)
    assert soft.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert soft.dtype == torch.float64
    several = torch.tensor([[1.0, 1.0]])
    assert soft_labels(several, 0, torch.float64) is several
