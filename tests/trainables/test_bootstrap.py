from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from trainables.bootstrap import BENCHMARK, Resampling, bootstrap_interval
from trainables.errors import ConfigError
from trainables.metrics import METRICS, accuracy, auc


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def predictions(right: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predict the first samples rightly and the others wrongly, of two classes."""
    targets = torch.arange(count) % 2
    predicted = targets.clone()
    predicted[right:] = 1 - predicted[right:]
    return torch.nn.functional.one_hot(predicted, 2).float(), targets


def several(count: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = generator(seed)
    logits = torch.randn(count, classes, generator=source)
    return logits, (logits + torch.randn(count, classes, generator=source) > 1).float()


def distinct(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one sample of each class."""
    return torch.randn(classes, classes), torch.arange(classes)


class Noted:
    """A metric that notes what it is asked for."""

    def __init__(self, metric) -> None:
        """Take the metric."""
        self.metric = metric
        self.values: list[float] = []
        self.targets: list[torch.Tensor] = []

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute and note."""
        value = self.metric(logits, targets)
        self.values.append(float(value))
        self.targets.append(targets)
        return value


@pytest.mark.parametrize("right", [30, 100, 190])
@pytest.mark.parametrize("quantiles", [(0.025, 0.975), (0.05, 0.95), (0.25, 0.75)])
def test_an_accuracy_of_so_many_is_binomial(right, quantiles):
    logits, targets = predictions(right, 200)
    resampling = Resampling(n_resamples=4000, quantiles=quantiles)
    found = bootstrap_interval(accuracy, logits, targets, generator(), resampling)
    expected = binom.ppf(quantiles, 200, right / 200)
    # A quantile of 4000 draws is off by one step of 1/200 at most, but for rare luck.
    assert found.low * 200 == pytest.approx(expected[0], abs=1.01)
    assert found.high * 200 == pytest.approx(expected[1], abs=1.01)


@pytest.mark.extended
def test_it_covers_the_truth_as_often_as_it_says():
    covered = {(0.025, 0.975): 0, (0.25, 0.75): 0}
    for seed in range(150):
        right = int(binom.rvs(120, 0.7, random_state=seed))
        logits, targets = predictions(right, 120)
        for quantiles in covered:
            resampling = Resampling(n_resamples=150, quantiles=quantiles)
            found = bootstrap_interval(accuracy, logits, targets, generator(seed), resampling)
            covered[quantiles] += found.low <= 0.7 <= found.high
    # Three standard deviations of a share of 150.
    assert covered[0.025, 0.975] / 150 == pytest.approx(0.95, abs=0.055)
    assert covered[0.25, 0.75] / 150 == pytest.approx(0.5, abs=0.125)


@pytest.mark.parametrize("name", METRICS)
def test_it_is_the_quantiles_of_the_metric_over_draws_as_large_as_the_split(name):
    logits, targets = several(60, 4)
    metric = Noted(METRICS[name].compute)
    resampling = Resampling(n_resamples=130, quantiles=(0.1, 0.7))
    found = bootstrap_interval(metric, logits, targets, generator(), resampling)
    assert len(metric.values) == 130
    assert all(drawn.shape == (60, 4) for drawn in metric.targets)
    low, high = np.quantile(metric.values, [0.1, 0.7])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.n_resamples, found.classes_dropped) == (130, 0)
    value = float(METRICS[name].compute(logits, targets))
    assert min(metric.values) < value < max(metric.values)


def test_samples_are_drawn_with_replacement_every_one_as_likely():
    targets = torch.arange(50)
    metric = Noted(lambda _logits, drawn: drawn.unique().numel() * torch.ones(()))
    bootstrap_interval(metric, torch.zeros(50, 50), targets, generator())
    # 1 - (1 - 1/n)^n of the samples are in a draw.
    assert np.mean(metric.values) / 50 == pytest.approx(1 - (1 - 1 / 50) ** 50, abs=0.01)
    counts = torch.bincount(torch.cat(metric.targets))
    assert counts.tolist() == pytest.approx([1000] * 50, abs=160)


def test_logits_and_targets_stay_together():
    targets = torch.arange(30) % 3
    logits = torch.nn.functional.one_hot(targets, 3).float()
    found = bootstrap_interval(accuracy, logits, targets, generator())
    assert (found.low, found.high) == (1, 1)


def test_equal_generators_give_equal_intervals():
    logits, targets = several(40, 3)
    first, again, other = (
        bootstrap_interval(auc, logits, targets, generator(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    bootstrap_interval(accuracy, *several(20, 3), generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_class_that_a_draw_lacks_is_left_out_and_counted():
    logits, targets = several(50, 4)
    targets[:, 1] = 0
    targets[7, 1] = 1
    metric = Noted(auc)
    found = bootstrap_interval(metric, logits, targets, generator())
    lost = [int((drawn[:, 1] == 0).all()) for drawn in metric.targets]
    assert found.classes_dropped == pytest.approx(np.mean(lost))
    # A sample is in no draw of 50 with probability (49/50)^50.
    assert found.classes_dropped == pytest.approx((49 / 50) ** 50, abs=0.05)
    assert found.n_resamples == 1000
    assert math.isfinite(found.low)


def test_a_class_that_the_whole_split_lacks_is_not_counted():
    logits, targets = several(50, 4)
    targets[:, 1], targets[:, 2] = 0, 1
    assert bootstrap_interval(auc, logits, targets, generator()).classes_dropped == 0


def test_a_class_that_every_sample_of_a_draw_has_is_counted_too():
    logits, targets = torch.randn(12, 2), torch.ones(12, 2)
    targets[:, 1] = torch.arange(12) % 2
    targets[3, 0] = 0
    metric = Noted(auc)
    found = bootstrap_interval(metric, logits, targets, generator())
    lost = [len(drawn[:, 0].unique()) < 2 for drawn in metric.targets]
    assert found.classes_dropped == pytest.approx(np.mean(lost))
    assert found.classes_dropped > 0.3


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_benchmarks_rule_takes_draws_that_hold_every_class_of_the_split(multi_label):
    targets = torch.tensor([0] * 20 + [1] * 20 + [3])
    logits = torch.randn(41, 5)
    if multi_label:
        targets = torch.nn.functional.one_hot(targets, 5).float()
    metric = Noted(auc)
    resampling = Resampling(n_resamples=300, require_every_class=True)
    found = bootstrap_interval(metric, logits, targets, generator(), resampling)
    assert found.n_resamples == len(metric.values) == 300
    assert found.classes_dropped == 0
    for drawn in metric.targets:
        classes = drawn.argmax(1) if multi_label else drawn
        assert set(classes.tolist()) == {0, 1, 3}


def test_without_that_rule_other_draws_count_too():
    metric = Noted(auc)
    bootstrap_interval(metric, torch.randn(41, 5), torch.tensor([0] * 40 + [3]), generator())
    assert {len(drawn.unique()) for drawn in metric.targets} == {1, 2}


def test_where_few_draws_hold_every_class_it_makes_do_with_them():
    # All eight classes are in 8! / 8^8 = 0.24 % of the draws, and 100 are tried for each wanted.
    resampling = Resampling(n_resamples=100, require_every_class=True)
    found = bootstrap_interval(accuracy, *distinct(8), generator(), resampling)
    assert found.n_resamples == pytest.approx(24, abs=15)


def test_where_none_does_it_says_so():
    resampling = Resampling(n_resamples=10, require_every_class=True)
    with pytest.raises(ConfigError) as caught:
        bootstrap_interval(accuracy, *distinct(20), generator(), resampling)
    assert str(caught.value) == (
        "no resample of 20 samples held every class of the split; some of them are too rare: set "
        "require_every_class to False."
    )


def test_draws_without_a_value_do_not_count():
    logits, targets = torch.randn(6, 2), torch.tensor([0, 0, 0, 0, 0, 1])
    metric = Noted(auc)
    found = bootstrap_interval(metric, logits, targets, generator())
    values = [value for value in metric.values if math.isfinite(value)]
    assert found.n_resamples == len(values) == pytest.approx(1000 * (1 - (5 / 6) ** 6), abs=60)
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
    # Both classes are missing where one is, and such draws have no value.
    assert found.classes_dropped == 0


def test_a_metric_without_any_value_is_refused():
    with pytest.raises(ConfigError) as caught:
        bootstrap_interval(auc, torch.randn(6, 2), torch.zeros(6, dtype=torch.long), generator())
    assert str(caught.value) == (
        "the metric has no finite value in any of 1000 resamples of 6 samples; the split lacks a "
        "class, or the predictions are not finite."
    )


def test_the_benchmark_takes_the_90_per_cent_of_100_draws_with_every_class():
    expected = Resampling(n_resamples=100, quantiles=(0.05, 0.95), require_every_class=True)
    assert expected == BENCHMARK


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_resamples": 0}, "n_resamples must be at least 1, got 0."),
        *(
            (
                {"quantiles": quantiles},
                f"quantiles must be [low, high] with 0 ≤ low < high ≤ 1, got {quantiles}.",
            )
            for quantiles in ((0.9, 0.1), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1))
        ),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError) as caught:
        Resampling(**settings)
    assert str(caught.value) == message
