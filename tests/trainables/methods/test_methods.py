"""What holds for every method, padding included."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.builders import trial
from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import DatasetInfo, Digits, TokenSamples
from trainables.errors import ConfigError
from trainables.loop import init_replica, run_epoch
from trainables.methods import METHODS, Base, Challenger, Random, RelDrop
from trainables.models import TextCnn

CPU = torch.device("cpu")


WITH_AMOUNTS = [
    name
    for name, kind in sorted(METHODS.items())
    if {"alpha", "beta"} <= {field.name for field in dataclasses.fields(kind)}
]


# FGSM follows the gradient alone; Saliency Guided Training draws what its extra loss masks with.
WITHOUT_CHANCE_IN_THE_INPUTS = ("base", "base_finetune", "fgsm", "saliency_guided")


@pytest.fixture(params=sorted(METHODS))
def name(request):
    return request.param


def one_epoch(name: str, digits, seed: int):
    config = trial(name)
    state = init_replica(config, config.dataset.info, seed, CPU)
    run_epoch(config, digits, state)
    return state


def perturb(name: str, digits, seed: int):
    model = init_replica(trial(name), Digits().info, 0, CPU).model
    source = seeded(seed)
    train = digits.train
    return METHODS[name]().perturb(
        model, Batch(inputs=train.inputs, targets=train.targets), source
    )


def test_it_is_known_by_its_own_name_and_frozen(name):
    assert METHODS[name].name == name
    assert METHODS[name].__dataclass_params__.frozen
    assert METHODS[name].__slots__ is not None


def test_it_accepts_the_default_dataset_with_its_defaults(name):
    METHODS[name]().check(Digits().info)


def test_one_epoch_has_a_finite_loss_and_changes_every_weight(name, digits):
    config = trial(name)
    before = copy.deepcopy(init_replica(config, config.dataset.info, 1, CPU).model.state_dict())
    state = one_epoch(name, digits, 1)
    assert math.isfinite(float(state.window.total))
    assert (state.epoch, state.step, state.window.steps) == (1, 4, 4)
    for key, value in state.model.state_dict().items():
        assert value.isfinite().all()
        if key.endswith("weight"):
            assert not torch.equal(value, before[key])


def test_equal_seeds_give_equal_weights_and_different_seeds_different_ones(name, digits):
    first, again, other = (one_epoch(name, digits, seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


def test_its_randomness_comes_from_the_generator_alone(name, digits):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = perturb(name, digits, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(perturb(name, digits, 5).inputs, first.inputs)
    if name not in WITHOUT_CHANCE_IN_THE_INPUTS:
        assert not torch.equal(perturb(name, digits, 6).inputs, first.inputs)


def test_an_epoch_leaves_the_global_generator_alone(name, digits):
    state = torch.get_rng_state()
    one_epoch(name, digits, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_perturbing_keeps_shape_kind_device_and_the_given_batch(name, digits):
    inputs, targets = digits.train.inputs.clone(), digits.train.targets.clone()
    batch = perturb(name, digits, 0)
    assert batch.inputs.shape == inputs.shape
    assert batch.inputs.dtype == inputs.dtype
    assert batch.inputs.device == inputs.device
    assert not batch.inputs.requires_grad
    if batch.targets.is_floating_point():
        assert batch.targets.shape == (len(targets), Digits().info.n_classes)
        assert torch.allclose(batch.targets.sum(1), torch.ones(len(targets)))
    else:
        assert torch.equal(batch.targets, targets)
    assert torch.equal(digits.train.inputs, inputs)
    assert torch.equal(digits.train.targets, targets)


def test_perturbing_leaves_the_model_in_its_mode_and_unchanged(name, digits):
    model = init_replica(trial(name), Digits().info, 0, CPU).model.train()
    before = copy.deepcopy(model.state_dict())
    source = seeded()
    METHODS[name]().perturb(
        model, Batch(inputs=digits.train.inputs, targets=digits.train.targets), source
    )
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", WITH_AMOUNTS)
def test_a_challenge_of_amount_zero_is_ordinary_training(name, digits):
    config = replace(trial(name), method=METHODS[name](alpha=0.0, beta=0.0))
    state = init_replica(config, config.dataset.info, 1, CPU)
    run_epoch(config, digits, state)
    base = one_epoch("base", digits, 1).model.state_dict()
    assert all(torch.equal(value, base[key]) for key, value in state.model.state_dict().items())


def test_it_gives_the_batch_back_itself():
    inputs, targets = torch.randn(4, 1, 3, 3), torch.arange(4)
    Base().check(Digits().info)
    batch = Base().perturb(nn.Identity(), Batch(inputs=inputs, targets=targets), seeded())
    assert batch.inputs is inputs
    assert batch.targets is targets


LENGTH, DIMENSION = 160, 100
INFO = DatasetInfo(n_classes=6, input_shape=(DIMENSION, LENGTH), domain="text")
# Words per text; the fourth has none, and every third position of a text has no vector either.
WORDS = [160, 90, 12, 0, 3, 40, 160, 90]
IMAGES_ONLY = {"cutmix", "random_erasing"}
TAKES_TEXT = sorted(set(METHODS) - IMAGES_ONLY)
CHALLENGES = {"challenger": Challenger, "random": Random}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch() -> Batch:
    """Return eight texts of different lengths with gaps."""
    tokens = torch.zeros(len(WORDS), LENGTH, dtype=torch.int16)
    for text, count in zip(tokens, WORDS, strict=True):
        text[:count] = torch.randint(1, 30, (count,), dtype=torch.int16)
        text[:count:3] = 0
    vectors = torch.randn(30, DIMENSION)
    vectors[0] = 0
    samples = TokenSamples(
        tokens=tokens, vectors=vectors, targets=torch.arange(len(WORDS)) % INFO.n_classes
    )
    return samples.make_batch(torch.arange(len(WORDS)), generator())


@pytest.fixture
def model() -> nn.Module:
    return TextCnn(width=1 / 8, initialization="torch").build(INFO, generator())


def changed(batch: Batch, result: Batch) -> Tensor:
    """Return which features of which samples differ, (batch, feature)."""
    return (result.inputs != batch.inputs).flatten(1)


def own_features(batch: Batch) -> Tensor:
    return batch.valid_mask.sum(1) * DIMENSION


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_takes_texts_or_says_that_it_does_not(name):
    if name in IMAGES_ONLY:
        with pytest.raises(ConfigError, match="image"):
            METHODS[name]().check(INFO)
    else:
        METHODS[name]().check(INFO)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(set(TAKES_TEXT) - {"mixup"}))
def test_padding_is_never_changed(name, seed, batch, model):
    result = METHODS[name]().perturb(model, batch, seeded(seed))
    assert not changed(batch, result)[~batch.feature_mask].any()
    assert result.inputs.isfinite().all()
    assert torch.equal(result.valid_mask, batch.valid_mask)


@pytest.mark.parametrize("name", sorted({*TAKES_TEXT} - {"base", "base_finetune"}))
def test_a_method_does_something_to_these_texts(name, batch, model):
    # Else the test above would hold for a method that does nothing.
    result = METHODS[name]().perturb(model, batch, seeded())
    assert changed(batch, result).any() or result.extra_loss is not None


def test_mixup_mixes_whole_texts(batch, model):
    result = METHODS["mixup"](concentration=1e6).perturb(model, batch, seeded())
    # λ is 0.5 all but exactly, so that a text is longer where its partner was.
    assert changed(batch, result)[~batch.feature_mask].any()


@pytest.mark.parametrize("seed", range(3))
def test_the_masked_texts_of_saliency_guided_training_keep_their_padding(seed, batch, model):
    class Recorder(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            self.seen = inputs
            return model(inputs)

    recorder = Recorder()
    result = METHODS["saliency_guided"](masked_fraction=0.5).perturb(model, batch, seeded(seed))
    loss = result.extra_loss(recorder, model(batch.inputs)).mean()
    assert loss.isfinite()
    masked = recorder.seen.flatten(1) != batch.inputs.flatten(1)
    assert not masked[~batch.feature_mask].any()
    assert masked.sum(1).tolist() == (own_features(batch) / 2).tolist()


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("name", sorted(CHALLENGES))
def test_a_fraction_is_one_of_the_texts_own_features(name, share, batch, model):
    method = CHALLENGES[name](n_features=share, split=0.99, a_fraction=1.0)
    counts = changed(batch, method.perturb(model, batch, seeded())).sum(1)
    own = own_features(batch)
    # 0.99 of eight are seven challenged texts.
    assert counts[:7].tolist() == [round(share * float(n)) for n in own[:7]]
    assert counts[7] == 0
    assert counts[3] == 0


@pytest.mark.parametrize("count", [1, 1000, 16_000])
@pytest.mark.parametrize("name", sorted(CHALLENGES))
def test_a_count_is_at_most_the_texts_own_features(name, count, batch, model):
    method = CHALLENGES[name](n_features=count, split=0.99, a_fraction=0.0)
    counts = changed(batch, method.perturb(model, batch, seeded())).sum(1)
    own = own_features(batch)
    assert counts[:7].tolist() == own[:7].clamp(max=count).tolist()
    assert counts[7] == 0


@pytest.mark.parametrize("name", sorted(CHALLENGES))
def test_challenge_and_control_change_equally_many_features(name, batch, model):
    result = CHALLENGES[name](n_features=0.1).perturb(model, batch, seeded())
    expected = [round(0.1 * float(n)) for n in own_features(batch)[:4]]
    assert changed(batch, result).sum(1).tolist() == [*expected, 0, 0, 0, 0]


def test_the_drop_rate_counts_positions_that_hold_anything(batch, model):
    # Plain dropout of whole words at a rate of 0.5.
    method = RelDrop(probability=1.0, mix=1.0, threshold=0.5)
    result = method.perturb(model, batch, seeded())
    words = (result.inputs != batch.inputs).any(1)
    rate = float(words.sum() / batch.valid_mask.sum())
    assert float(result.train_metrics["drop_rate"]) == pytest.approx(rate)
    # Of all positions it is less than a sixth.
    assert rate == pytest.approx(0.5, abs=0.08)
    everything = RelDrop(probability=1.0, mix=1.0, threshold=0.0)
    dropped = everything.perturb(model, batch, seeded())
    assert float(dropped.train_metrics["drop_rate"]) == 1
    assert (dropped.inputs == 0).all()
