"""Padding is no part of a sample: what no method chooses, changes or counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import DatasetInfo, TokenSamples
from trainables.errors import ConfigError
from trainables.methods import METHODS, Challenger, Random, RelDrop
from trainables.models import TextCnn

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
    """Give eight texts of different lengths with gaps."""
    tokens = torch.zeros(len(WORDS), LENGTH, dtype=torch.int16)
    for text, count in zip(tokens, WORDS, strict=True):
        text[:count] = torch.randint(1, 30, (count,), dtype=torch.int16)
        text[:count:3] = 0
    vectors = torch.randn(30, DIMENSION)
    vectors[0] = 0
    samples = TokenSamples(
        tokens=tokens, vectors=vectors, targets=torch.arange(len(WORDS)) % INFO.n_classes
    )
    return samples.draw(torch.arange(len(WORDS)), generator())


@pytest.fixture
def model() -> nn.Module:
    return TextCnn(width=1 / 8, initialisation="default").build(INFO, generator())


def changed(batch: Batch, result: Batch) -> Tensor:
    """Tell which features of which samples differ, (batch, feature)."""
    return (result.inputs != batch.inputs).flatten(1)


def own_features(batch: Batch) -> Tensor:
    return batch.occupied.sum(1) * DIMENSION


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
    assert torch.equal(result.occupied, batch.occupied)


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
    result = METHODS["saliency_guided"](masked_share=0.5).perturb(model, batch, seeded(seed))
    loss = result.extra_loss(recorder, model(batch.inputs)).mean()
    assert loss.isfinite()
    masked = recorder.seen.flatten(1) != batch.inputs.flatten(1)
    assert not masked[~batch.feature_mask].any()
    assert masked.sum(1).tolist() == (own_features(batch) / 2).tolist()


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("name", sorted(CHALLENGES))
def test_a_share_is_one_of_the_texts_own_features(name, share, batch, model):
    method = CHALLENGES[name](n_features=share, split=0.99, a_share=1.0)
    counts = changed(batch, method.perturb(model, batch, seeded())).sum(1)
    own = own_features(batch)
    # 0.99 of eight are seven challenged texts.
    assert counts[:7].tolist() == [round(share * float(n)) for n in own[:7]]
    assert counts[7] == 0
    assert counts[3] == 0


@pytest.mark.parametrize("count", [1, 1000, 16_000])
@pytest.mark.parametrize("name", sorted(CHALLENGES))
def test_a_count_is_at_most_the_texts_own_features(name, count, batch, model):
    method = CHALLENGES[name](n_features=count, split=0.99, a_share=0.0)
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
    rate = float(words.sum() / batch.occupied.sum())
    assert float(result.measures["drop_rate"]) == pytest.approx(rate)
    # Of all positions it is less than a sixth.
    assert rate == pytest.approx(0.5, abs=0.08)
    everything = RelDrop(probability=1.0, mix=1.0, threshold=0.0)
    dropped = everything.perturb(model, batch, seeded())
    assert float(dropped.measures["drop_rate"]) == 1
    assert (dropped.inputs == 0).all()
