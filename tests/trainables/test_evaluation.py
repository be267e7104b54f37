from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.trainables.builders import Flat
from trainables import evaluation
from trainables.datasets.tensor_samples import TensorSamples
from trainables.evaluation import evaluate, predict_logits
from trainables.metrics import METRICS


def samples(count: int = 25) -> TensorSamples:
    targets = torch.arange(count) % 4
    return TensorSamples(inputs=torch.randn(count, 1, 6), targets=targets)


def test_every_metric_is_computed_under_the_name_of_the_split():
    model, data = Flat(torch.randn(4, 6)), samples()
    found = evaluate(model, data, "val")
    logits = model(data.inputs).detach()
    names = [*METRICS, "auc_classes"]
    assert set(found) == {f"val/{name}" for name in names}
    for name, metric in METRICS.items():
        expected = float(metric.compute(logits, data.targets))
        assert found[f"val/{name}"] == pytest.approx(expected, rel=1e-12)
    assert found["val/auc_classes"] == 4
    assert set(evaluate(model, data, "test")) == {f"test/{name}" for name in names}


def test_predictions_do_not_depend_on_how_the_samples_are_batched(monkeypatch):
    model, data = Flat(torch.randn(4, 6)), samples()
    whole = predict_logits(model, data)
    monkeypatch.setattr(evaluation, "_BATCH_SIZE", 7)
    rows = []
    model.register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    torch.testing.assert_close(predict_logits(model, data), whole)
    assert rows == [7, 7, 7, 4]


def test_large_samples_are_evaluated_few_at_a_time(monkeypatch):
    model, data = Flat(torch.randn(4, 6)), samples(10)
    whole = predict_logits(model, data)
    monkeypatch.setattr(evaluation, "_BATCH_FEATURES", 24)
    rows = []
    model.register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    torch.testing.assert_close(predict_logits(model, data), whole)
    assert rows == [4, 4, 2]


def test_a_sample_counts_by_the_highest_logit_over_its_views():
    weight = torch.randn(3, 2)
    data = TwoViews(inputs=torch.randn(5, 1, 4), targets=torch.randint(2, (5, 3)).float())
    found = predict_logits(Flat(weight), data)
    views = torch.stack([data.inputs[:, 0, :2] @ weight.T, data.inputs[:, 0, 2:] @ weight.T])
    torch.testing.assert_close(found, views.max(0).values)


class TwoViews(TensorSamples):
    """Samples of which a model sees one half at a time."""

    def views(self, indices) -> torch.Tensor:
        """Return both halves."""
        return torch.stack(self.inputs[indices].chunk(2, dim=2))


def test_it_runs_in_eval_mode_without_gradients_and_restores_the_mode():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.9))
    model.train()
    before = model[2].running_mean.clone()
    logits = predict_logits(model, samples())
    assert not logits.requires_grad
    assert (logits != 0).all()
    assert torch.equal(model[2].running_mean, before)
    assert all(module.training for module in model.modules())
