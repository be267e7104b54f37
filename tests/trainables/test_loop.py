from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.trainables.builders import trial
from tests.trainables.tensor_samples import TensorSamples
from trainables.batch import Batch
from trainables.datasets import Splits
from trainables.errors import NonFiniteError
from trainables.evaluation import evaluate, filter_metrics
from trainables.final_evaluation import evaluate_final
from trainables.loop import require_finite, run_epoch, start, train, train_by_epoch
from trainables.optimisers import Sgd
from trainables.seeding import derive_seed, stream

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(folders) -> Splits:
    config = trial()
    return config.dataset.load(folders, 0)


class Spy:
    """A method that changes nothing and keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[tuple[torch.Tensor, torch.Tensor, int]] = []

    def perturb(self, _model, batch, draws) -> Batch:
        self.batches.append((batch.inputs, batch.targets, draws.generators[0].initial_seed()))
        return batch


def begin(config, seed: int = 1):
    return start(config, config.dataset.info, seed, CPU)


def poison_loss(monkeypatch, at: int, value: float) -> None:
    """Make the training loss of one step NaN or infinite; evaluations are not counted."""
    original, steps = nn.functional.cross_entropy, []

    def poisoned(logits, targets, **options: str) -> torch.Tensor:
        loss = original(logits, targets, **options)
        if not loss.requires_grad:
            return loss
        steps.append(None)
        return loss * value if len(steps) == at else loss

    monkeypatch.setattr(nn.functional, "cross_entropy", poisoned)


def test_reports_come_at_the_start_every_few_epochs_and_at_the_end(data):
    config = trial()
    reports = list(train(config, data, begin(config)))
    assert [report.epoch for report in reports] == [0, 2, 4, 5]


def test_an_epoch_without_evaluation_yields_none(data):
    config = trial()
    epochs = [r and r.epoch for r in train_by_epoch(config, data, begin(config))]
    assert epochs == [0, None, 2, None, 4, 5]


def test_the_first_report_describes_the_fresh_filters_alone(data):
    config = trial()
    state = begin(config)
    expected = filter_metrics(state.model)
    report = next(train(config, data, state))
    assert report.metrics == expected
    assert all(key.startswith("filter_cosine") for key in expected)


def test_a_report_has_loss_validation_and_filters_as_the_model_is_then(data):
    config = trial()
    state = begin(config)
    for report in train(config, data, state):
        if report.epoch:
            expected = evaluate(state.model, data.val, "val") | filter_metrics(state.model)
            loss = report.metrics.pop("train/loss")
            assert report.metrics == expected
            assert math.isfinite(loss)


def test_the_training_loss_is_the_mean_over_the_steps_since_the_last_report(data, monkeypatch):
    config = trial()
    losses, original = [], nn.functional.cross_entropy

    def recorded(logits, targets, **options: str) -> torch.Tensor:
        loss = original(logits, targets, **options)
        if loss.requires_grad:
            losses.append(float(loss.detach().mean()))
        return loss

    monkeypatch.setattr(nn.functional, "cross_entropy", recorded)
    reports = list(train(config, data, begin(config)))
    # Three steps an epoch; reports after the epochs 2, 4 and 5.
    means = [sum(part) / len(part) for part in (losses[:6], losses[6:12], losses[12:])]
    assert len(losses) == 15
    assert [r.metrics["train/loss"] for r in reports[1:]] == pytest.approx(means, rel=1e-6)


def test_every_sample_is_seen_once_per_epoch_in_the_order_of_its_stream(data):
    config, spy = trial(), Spy()
    object.__setattr__(config, "method", spy)
    state = begin(config, seed=5)
    for epoch in (1, 2):
        spy.batches.clear()
        run_epoch(config, data, state)
        order = torch.randperm(20, generator=stream(5, "shuffling", epoch))
        assert [len(targets) for _, targets, _ in spy.batches] == [8, 8, 4]
        assert torch.equal(torch.cat([x for x, _, _ in spy.batches]), data.train.inputs[order])
        assert torch.equal(torch.cat([y for _, y, _ in spy.batches]), data.train.targets[order])
        assert {seed for _, _, seed in spy.batches} == {derive_seed(5, "challenge", epoch)}
        assert state.epoch == epoch
        assert state.step == 3 * epoch


def test_a_step_is_ordinary_gradient_descent_on_the_cross_entropy(data):
    config = trial()
    config = replace(
        config,
        model=replace(config.model, dropout=0.0),
        training=replace(config.training, batch_size=20, optimiser=Sgd(lr=0.1, momentum=0.0)),
    )
    state, twin = begin(config), begin(config)
    run_epoch(config, data, state)

    order = torch.randperm(20, generator=stream(1, "shuffling", 1))
    twin.model.train()
    inputs, targets = data.train.inputs[order], data.train.targets[order]
    nn.functional.cross_entropy(twin.model(inputs), targets).backward()
    for parameter, stepped in zip(twin.model.parameters(), state.model.parameters(), strict=True):
        expected = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(stepped.detach(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["challenger", "saliency_guided"])
def test_in_bfloat16_the_passes_of_a_step_are_and_nothing_else(data, method):
    config = trial(method)
    training = replace(config.training, precision="bfloat16", epochs=1)
    config = replace(config, training=training)
    kinds: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    state = begin(config)
    first = next(layer for layer in state.model.modules() if isinstance(layer, nn.Conv2d))
    # Attributions and evaluations look at the model in eval mode.
    first.register_forward_hook(lambda layer, _, out: kinds[layer.training].add(out.dtype))
    *_, last = train(config, data, state)
    assert kinds == {True: {torch.bfloat16}, False: {torch.float32}}
    assert {weight.dtype for weight in state.model.parameters()} == {torch.float32}
    exact = replace(config, training=replace(training, precision="float32"))
    *_, expected = train(exact, data, begin(exact))
    assert last.metrics["train/loss"] == pytest.approx(expected.metrics["train/loss"], rel=0.05)
    assert last.metrics["train/loss"] != expected.metrics["train/loss"]


def test_training_is_in_train_mode_and_dropout_follows_the_seed_alone(data):
    config = trial()
    torch.manual_seed(1)
    first = begin(config)
    run_epoch(config, data, first)
    torch.manual_seed(2)
    again = begin(config)
    run_epoch(config, data, again)
    weights = again.model.state_dict()
    assert all(torch.equal(v, weights[key]) for key, v in first.model.state_dict().items())
    without = replace(config, model=replace(config.model, dropout=0.0))
    other = begin(without)
    run_epoch(without, data, other)
    key = "features.0.weight"
    assert not torch.equal(other.model.state_dict()[key], first.model.state_dict()[key])


def test_a_model_that_comes_in_eval_mode_is_trained_in_train_mode(data):
    config = trial()
    expected, state = begin(config), begin(config)
    run_epoch(config, data, expected)
    state.model.eval()
    run_epoch(config, data, state)
    weights = state.model.state_dict()
    assert all(torch.equal(v, weights[key]) for key, v in expected.model.state_dict().items())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("step", "epoch"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3), (10, 4), (12, 4)]
)
def test_a_loss_that_is_not_finite_is_named_by_seed_step_epoch_and_parameters(
    data, monkeypatch, step, epoch, value
):
    config = trial()
    config = replace(config, training=replace(config.training, epochs=4, eval_every=4))
    poison_loss(monkeypatch, step, value)
    with pytest.raises(NonFiniteError) as caught:
        list(train(config, data, begin(config, seed=9)))
    assert str(caught.value) == (
        f"the loss became NaN or infinite at step {step} (epoch {epoch}) of the replica with "
        "seed 9; parameters: {'name': 'base'}; lower the learning rate, or how far the method "
        "changes its samples."
    )


def test_the_step_stays_right_after_reports(data, monkeypatch):
    config = trial()
    poison_loss(monkeypatch, 14, math.nan)
    with pytest.raises(NonFiniteError, match=r"at step 14 \(epoch 5\)"):
        list(train(config, data, begin(config)))


def test_the_parameters_are_those_of_the_method(data, monkeypatch):
    config = trial("random")
    poison_loss(monkeypatch, 1, math.nan)
    with pytest.raises(NonFiniteError) as caught:
        list(train(config, data, begin(config)))
    assert (
        "parameters: {'name': 'random', 'n_features': 0.1, 'alpha': 0.5, 'beta': 0.5, "
        "'split': 0.5, 'a_share': 0.5, 'clip': None};"
    ) in str(caught.value)


def test_finite_losses_pass(data):
    config = trial()
    state = begin(config)
    require_finite(config, state)
    run_epoch(config, data, state)
    require_finite(config, state)


def poisoned_test_split(data: Splits) -> Splits:
    nan = torch.full_like(data.test.inputs, math.nan)
    return replace(data, test=TensorSamples(inputs=nan, targets=data.test.targets))


def test_the_test_split_is_not_touched_by_a_search(data):
    config = trial()
    clean = list(train(config, data, begin(config)))
    blind = list(train(config, poisoned_test_split(data), begin(config)))
    assert blind == clean
    assert not any(key.startswith("test/") for report in clean for key in report.metrics)


def test_a_final_trial_evaluates_the_test_split_after_the_last_epoch_alone(data):
    config = trial(is_final=True)
    state = begin(config)
    reports = list(train(config, data, state))
    last = {k: v for k, v in reports[-1].metrics.items() if k.startswith("test/")}
    assert last == evaluate_final(config.evaluation, state.model, data, state.seed)
    assert last.items() >= evaluate(state.model, data.test, "test").items()
    assert not any(key.startswith("test/") for r in reports[:-1] for key in r.metrics)
    spoilt = list(train(config, poisoned_test_split(data), begin(config)))
    assert math.isnan(spoilt[-1].metrics["test/nll"])  # so the poison would have shown


def test_a_state_continues_bit_for_bit_from_what_it_gave(data):
    config = trial("challenger")
    whole = begin(config)
    expected = list(train(config, data, whole))
    state = begin(config)
    run_epoch(config, data, state)
    run_epoch(config, data, state)
    run_epoch(config, data, state)
    kept = state.state_dict()
    fresh = begin(config)
    fresh.load_state_dict(kept)
    assert (fresh.epoch, fresh.step, fresh.window.steps) == (3, 9, 9)
    reports = list(train(config, data, fresh))
    assert [r.epoch for r in reports] == [4, 5]
    assert reports[-1] == expected[-1]
