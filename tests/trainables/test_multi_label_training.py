"""Series with several labels per sample are trained on by every method that takes series."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional

from trainables.batch import Batch
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.datasets import DataFolders, PtbXl, RecordSamples, Splits
from trainables.draws import Draws
from trainables.errors import ConfigError
from trainables.loop import run_epoch, start, train
from trainables.methods import METHODS, Base, MethodConfig, Mixup
from trainables.models import FcnWang
from trainables.optimisers import Sgd
from trainables.seeding import stream

CPU = torch.device("cpu")
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
    settings = {"batch_size": 24, "epochs": 1, "optimiser": Sgd(lr=0.5, momentum=0.0)}
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
    state = start(settings, settings.dataset.info, 1, CPU)
    twin = copy.deepcopy(state.model).train()
    order = torch.randperm(24, generator=stream(1, "shuffling", 1))
    drawn = data.train.draw(order, stream(1, "crops", 1))
    batch = method.perturb(twin, drawn, Draws.of(stream(1, "challenge", 1)))
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
    batch = data.draw(torch.arange(24), torch.Generator().manual_seed(0))
    model = FcnWang(width=1 / 16).build(PtbXl(window=40).info, torch.Generator().manual_seed(0))
    mixed = Mixup(concentration=5.0).perturb(model, batch, Draws.of(stream(3, "challenge")))
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
    *_, last = train(settings, data, start(settings, settings.dataset.info, 1, CPU))
    assert last.metrics["train/loss"] < 0.5
    assert last.metrics["val/auc"] > 0.8
    assert last.metrics["val/auc_classes"] == 5


@pytest.fixture(scope="module")
def real(challenger_data, tmp_path_factory) -> DataFolders:
    """Give the real data root with a cache of this module."""
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
    before = start(settings, DATASET.info, 1, CPU).model.state_dict()
    states = [start(settings, DATASET.info, 1, CPU) for _ in range(2)]
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
