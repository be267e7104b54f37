"""The training loop: epochs, reports, and multi-label data."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables.builders import train, trial
from trainables.batch import Batch
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.datasets import DataFolders, PtbXl, RecordSamples, Splits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.errors import ConfigError, NonFiniteError
from trainables.evaluation import evaluate, filter_metrics
from trainables.final_evaluation import evaluate_final
from trainables.loop import init_replica, require_finite, run_epoch, train_by_epoch
from trainables.methods import METHODS, Base, MethodConfig, Mixup
from trainables.models import FcnWang
from trainables.optimizers import Sgd
from trainables.replica_rng import ReplicaRNG
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

    def perturb(self, _model, batch, rng) -> Batch:
        self.batches.append((batch.inputs, batch.targets, rng.generators[0].initial_seed()))
        return batch


def begin(config, seed: int = 1):
    return init_replica(config, config.dataset.info, seed, CPU)


def poison_loss(monkeypatch, at: int, value: float) -> None:
    """Build the training loss of one step NaN or infinite; evaluations are not counted."""
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
        training=replace(config.training, batch_size=20, optimizer=Sgd(lr=0.1, momentum=0.0)),
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
        "'split': 0.5, 'a_fraction': 0.5, 'clip': None};"
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


DATASET = PtbXl(train_size=64)


def accepts(name: str) -> bool:
    try:
        METHODS[name]().check(DATASET.info)
    except ConfigError:
        return False
    return True


# MixUp, attacks and challenges know no domain; CutMix and Random Erasing cut out of images.
ACCEPTING = [name for name in sorted(METHODS) if accepts(name)]


def records(count: int, seed: int) -> RecordSamples:
    source = torch.Generator().manual_seed(seed)
    targets = (torch.rand(count, 5, generator=source) < 0.4).float()
    targets[0], targets[1] = 0, 1
    signals = torch.randn(count, 12, 60, generator=source)
    return RecordSamples(signals=signals, targets=targets, window=40, stride=10)


def splits() -> Splits:
    return Splits(train=records(24, 0), val=records(12, 1), test=records(12, 2))


def config(method: MethodConfig, **changes: object) -> TrialConfig:
    settings = {"batch_size": 24, "epochs": 1, "optimizer": Sgd(lr=0.5, momentum=0.0)}
    return TrialConfig(
        dataset=PtbXl(window=40),
        model=FcnWang(width=1 / 16, dropout=0.0),
        method=method,
        training=TrainingConfig(**{**settings, **changes}),
        seeds=(1,),
    )


def by_hand(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Average -y·ln σ(z) - (1 - y)·ln(1 - σ(z)) over samples and labels."""
    z, y = model(batch.inputs), batch.targets
    return -(y * functional.logsigmoid(z) + (1 - y) * functional.logsigmoid(-z)).mean()


@pytest.mark.parametrize("method", [Base(), Mixup(concentration=1.0)], ids=lambda m: m.name)
def test_a_step_lowers_the_binary_cross_entropy_per_label(method):
    settings, data = config(method), splits()
    state = init_replica(settings, settings.dataset.info, 1, CPU)
    twin = copy.deepcopy(state.model).train()
    order = torch.randperm(24, generator=stream(1, "shuffling", 1))
    drawn = data.train.make_batch(order, stream(1, "crops", 1))
    batch = method.perturb(twin, drawn, ReplicaRNG.of(stream(1, "challenge", 1)))
    run_epoch(settings, data, state)
    loss = by_hand(twin, batch)
    assert float(state.window.total) == pytest.approx(float(loss.detach()), rel=1e-6)
    for ours, theirs, gradient in zip(
        state.model.parameters(),
        twin.parameters(),
        torch.autograd.grad(loss, list(twin.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs - 0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_mixup_mixes_the_labels_of_two_records_label_by_label():
    data = splits().train
    batch = data.make_batch(torch.arange(24), torch.Generator().manual_seed(0))
    model = FcnWang(width=1 / 16).build(PtbXl(window=40).info, torch.Generator().manual_seed(0))
    mixed = Mixup(concentration=5.0).perturb(model, batch, ReplicaRNG.of(stream(3, "challenge")))
    assert mixed.targets.shape == batch.targets.shape
    # One share for the batch, which is neither 0 nor 1: labels are λ·y + (1 - λ)·y' of one other.
    values = mixed.targets.unique()
    assert len(values) == 4
    share = float(values[2])
    assert values.tolist() == pytest.approx([0, 1 - share, share, 1], abs=1e-6)
    for own, target, inputs in zip(batch.targets, mixed.targets, mixed.inputs, strict=True):
        partners = [
            k
            for k in range(24)
            for kept in (share, 1 - share)
            if torch.allclose(kept * own + (1 - kept) * batch.targets[k], target, atol=1e-6)
            and any(
                torch.allclose(kept * a + (1 - kept) * batch.inputs[k], inputs, atol=1e-5)
                for a in batch.inputs
            )
        ]
        assert partners
    # The sum of labels is no probability's: a record without labels stays without its own.
    assert float(mixed.targets.sum(1).max()) > 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["base", "mixup"])
def test_training_on_several_labels_learns_them(name, precision):
    settings = config(METHODS[name](), epochs=30, eval_every=30, batch_size=8, precision=precision)
    data = splits()
    # A label is there where the mean of its lead is high.
    for part in (data.train, data.val, data.test):
        part.signals[:, :5] += 2 * part.targets[:, :, None]
    *_, last = train(settings, data, init_replica(settings, settings.dataset.info, 1, CPU))
    assert last.metrics["train/loss"] < 0.5
    assert last.metrics["val/auc"] > 0.8
    assert last.metrics["val/auc_classes"] == 5


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Return the real data root with a cache of this module."""
    return DataFolders(root=challenger_data, cache=tmp_path_factory.mktemp("ptbxl"))


@pytest.fixture(scope="module")
def ecg(real) -> Splits:
    """Load 64 training records of the real subset."""
    return DATASET.load(real, 0)


def test_image_methods_are_the_only_ones_that_refuse_series():
    assert sorted(set(METHODS) - set(ACCEPTING)) == ["cutmix", "random_erasing"]


@pytest.mark.data
@pytest.mark.parametrize("name", ACCEPTING)
def test_one_epoch_on_real_ecgs_is_finite_changes_every_weight_and_repeats(name, ecg):
    begin = FromBase(epochs=1) if name == "base_finetune" else Scratch()
    settings = TrialConfig(
        dataset=DATASET,
        model=FcnWang(width=1 / 8),
        method=METHODS[name](),
        training=TrainingConfig(epochs=1, batch_size=21, start_from=begin),
        seeds=(1,),
        is_final=True,
    )
    before = init_replica(settings, DATASET.info, 1, CPU).model.state_dict()
    states = [init_replica(settings, DATASET.info, 1, CPU) for _ in range(2)]
    reports = [list(train(settings, ecg, state))[-1] for state in states]
    # 64 = 3 · 21 + 1: the last batch holds one record.
    assert states[0].step == 4
    assert all(map(math.isfinite, reports[0].metrics.values()))
    assert reports[0].metrics["test/auc_classes"] == 5
    assert reports[0] == reports[1]
    for key, value in states[0].model.state_dict().items():
        if key.endswith("weight"):
            assert not torch.equal(value, before[key]), key
        assert value.isfinite().all()
