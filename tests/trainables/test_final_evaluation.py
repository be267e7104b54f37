from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.trainables.builders import Flat, train, trial
from trainables.bootstrap import Resampling, bootstrap_interval
from trainables.config import EvaluationConfig
from trainables.datasets import RecordSamples, Splits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.evaluation import evaluate, predict_logits
from trainables.final_evaluation import evaluate_final, majority_accuracy
from trainables.loop import init_replica
from trainables.metrics import METRICS
from trainables.occlusion import occlusion_metrics
from trainables.seeding import stream

CPU = torch.device("cpu")
BOTH = EvaluationConfig(occlusion=(0.25, 0.5), bootstrap_resamples=40)
NEITHER = EvaluationConfig()
OCCLUSION_KEYS = {
    "occlusion/none",
    *(f"occlusion/{order}/{s}" for order in ("random", "most_relevant") for s in (0.25, 0.5)),
}
BOOTSTRAP_KEYS = {
    "test_bootstrap/resamples",
    *(f"test_bootstrap/{name}/{end}" for name in ("accuracy", "auc") for end in ("low", "high")),
}


def samples(targets: list[int]) -> TensorSamples:
    return TensorSamples(inputs=torch.randn(len(targets), 1, 6), targets=torch.tensor(targets))


def splits() -> Splits:
    train = samples([2, 0, 2, 1, 2])
    return Splits(train=train, val=train, test=samples([0, 1, 2, 2, 0, 1, 1, 1] * 5))


def several_labels() -> Splits:
    targets = (torch.rand(24, 3) > 0.5).float()
    data = RecordSamples(signals=torch.randn(24, 2, 7), targets=targets, window=3, stride=2)
    return Splits(train=data, val=data, test=data)


def test_without_further_tests_there_are_the_metrics_and_the_majoritys_accuracy():
    model, data = Flat(torch.randn(3, 6)), splits()
    expected = evaluate(model, data.test, "test")
    expected |= {"test/majority_accuracy": 10 / 40, "test/samples": 40.0}
    assert evaluate_final(NEITHER, model, data, 1) == expected


def test_the_majority_is_that_of_the_training_split_the_lowest_of_several():
    train = torch.tensor([3, 1, 1, 3, 0])
    assert majority_accuracy(train, torch.tensor([1, 1, 1, 3, 0])) == 0.6
    assert majority_accuracy(train, torch.tensor([2, 3])) == 0.0
    assert majority_accuracy(torch.tensor([2]), torch.tensor([2, 2])) == 1.0


def test_several_labels_have_no_majority_class():
    found = evaluate_final(NEITHER, Flat(torch.randn(3, 6)), several_labels(), 1)
    assert "test/majority_accuracy" not in found


def test_further_tests_add_their_keys_and_change_no_other():
    model, data = Flat(torch.randn(3, 6)), splits()
    plain, found = (evaluate_final(config, model, data, 1) for config in (NEITHER, BOTH))
    assert found.keys() - plain.keys() == OCCLUSION_KEYS | BOOTSTRAP_KEYS
    assert {key: found[key] for key in plain} == plain
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize(
    ("make", "metric"), [(splits, "accuracy"), (several_labels, "auc")], ids=["one", "several"]
)
def test_occlusion_is_measured_beside_the_same_metric_without_it(make, metric):
    model, data = Flat(torch.randn(3, 6)), make()
    found = evaluate_final(BOTH, model, data, 7)
    assert found["occlusion/none"] == found[f"test/{metric}"]
    expected = occlusion_metrics(model, data.test, (0.25, 0.5), stream(7, "occlusion"))
    assert {key: found[key] for key in expected} == expected
    assert found.keys() >= OCCLUSION_KEYS


@pytest.mark.parametrize("make", [splits, several_labels], ids=["one", "several"])
def test_intervals_over_test_samples_are_those_of_the_seeds_stream(make):
    model, data = Flat(torch.randn(3, 6)), make()
    found = evaluate_final(BOTH, model, data, 7)
    logits = predict_logits(model, data.test)
    for name in ("accuracy", "auc"):
        interval = bootstrap_interval(
            METRICS[name].compute,
            logits,
            data.test.targets,
            stream(7, "bootstrap"),
            Resampling(n_resamples=40, quantiles=(0.025, 0.975)),
        )
        assert found[f"test_bootstrap/{name}/low"] == interval.low
        assert found[f"test_bootstrap/{name}/high"] == interval.high
        assert interval.low < interval.high
    assert found["test_bootstrap/resamples"] == 40
    assert evaluate_final(BOTH, model, data, 8) != found


def test_the_draws_that_are_told_are_the_fewest_that_were_used():
    # Of two samples, one in two draws holds both classes, without which there is no area.
    data = replace(splits(), test=samples([0, 1]))
    found = evaluate_final(BOTH, Flat(torch.randn(3, 6)), data, 1)
    assert 0 < found["test_bootstrap/resamples"] < 40


def test_predictions_that_are_not_finite_have_no_interval_so_that_the_metric_is_blamed():
    found = evaluate_final(
        EvaluationConfig(bootstrap_resamples=40), Flat(torch.full((3, 6), math.nan)), splits(), 1
    )
    assert math.isnan(found["test/nll"])
    assert not found.keys() & BOOTSTRAP_KEYS


def test_training_and_all_other_results_are_bit_for_bit_what_they_are_without_further_tests(
    digits,
):
    reports, weights = [], []
    for evaluation in (NEITHER, BOTH):
        config = trial("challenger", is_final=True, evaluation=evaluation)
        state = init_replica(config, config.dataset.info, 1, CPU)
        torch.manual_seed(5)
        reports.append(list(train(config, digits, state)))
        weights.append(state.model.state_dict())
        drawn = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(1))
    plain, tested = reports
    assert tested[:-1] == plain[:-1]
    new = OCCLUSION_KEYS | BOOTSTRAP_KEYS
    last = {key: value for key, value in tested[-1].metrics.items() if key not in new}
    assert last == plain[-1].metrics
    assert tested[-1].metrics.keys() >= new
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_a_search_undergoes_no_further_test(digits):
    config = trial(evaluation=BOTH)
    state = init_replica(config, config.dataset.info, 1, CPU)
    for report in train(config, digits, state):
        kinds = {key.split("/")[0] for key in report.metrics}
        assert not kinds & {"test", "test_bootstrap", "occlusion"}
