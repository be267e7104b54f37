from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.attribution.epsilon_lrp import epsilon_lrp
from trainables.datasets import DatasetInfo
from trainables.errors import ConfigError
from trainables.models import TextCnn


def info(length: int = 160, n_classes: int = 7) -> DatasetInfo:
    return DatasetInfo(n_classes=n_classes, input_shape=(100, length), domain="text")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def padded_texts(*lengths: int) -> torch.Tensor:
    """Draw texts that end after some words, and miss a vector in their midst."""
    inputs = torch.randn(len(lengths), 100, 160, dtype=torch.float64)
    for text, length in zip(inputs, lengths, strict=True):
        text[:, length:] = 0
        text[:, length // 2] = 0
    return inputs


def parameter_count(hidden: int, n_classes: int) -> int:
    """Count by hand: kernels of 5 words and a bias each, then hidden → hidden → C."""
    convolutions = 100 * 5 * hidden + hidden + 2 * (hidden * 5 * hidden + hidden)
    return convolutions + hidden * hidden + hidden + hidden * n_classes + n_classes


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        # By hand for 128 units and 20 classes: 64,128 + 2 · 82,048 + 16,512 + 2,580.
        (TextCnn(), 247_316),
        (TextCnn(width=1 / 8), parameter_count(16, 20)),
        (TextCnn(width=1 / 8, batch_norm=True), parameter_count(16, 20) + 3 * 2 * 16),
        (TextCnn(width=1 / 8, dropout=0.5), parameter_count(16, 20)),
        (TextCnn(width=1 / 64), parameter_count(2, 20)),
    ],
    ids=["published", "narrow", "batch norm", "dropout", "narrowest"],
)
def test_it_has_the_parameters_of_kerass_example_times_the_width(settings, count):
    model = settings.build(info(1000, 20), generator())
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_its_layers_are_those_of_kerass_example():
    model = TextCnn().build(info(1000, 20), generator())
    seen = []
    for layer in [*model.features, *model.classifier]:
        layer.register_forward_hook(
            lambda used, _inputs, output: seen.append((type(used), tuple(output.shape[1:])))
        )
    model(torch.randn(2, 100, 1000))
    assert seen == [
        (nn.Conv1d, (128, 996)),
        (nn.ReLU, (128, 996)),
        (nn.MaxPool1d, (128, 199)),
        (nn.Conv1d, (128, 195)),
        (nn.ReLU, (128, 195)),
        (nn.MaxPool1d, (128, 39)),
        (nn.Conv1d, (128, 35)),
        (nn.ReLU, (128, 35)),
        (nn.MaxPool1d, (128, 1)),
        (nn.Linear, (128,)),
        (nn.ReLU, (128,)),
        (nn.Linear, (20,)),
    ]


@pytest.mark.parametrize("length", [149, 150, 160, 200, 400, 1000])
def test_the_last_pool_is_the_maximum_over_all_that_is_left(length):
    model = TextCnn(width=1 / 32).build(info(length), generator())
    with torch.no_grad():
        before = model.features[:-1](torch.randn(3, 100, length))
        assert torch.equal(model.features[-1](before), before.amax(2, keepdim=True))


def test_a_batch_norm_follows_every_convolution():
    model = TextCnn(width=1 / 32, batch_norm=True).build(info(), generator())
    kinds = [type(layer) for layer in model.features]
    assert kinds == [nn.Conv1d, nn.BatchNorm1d, nn.ReLU, nn.MaxPool1d] * 3


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_there_is_a_dropout_layer_only_where_something_is_dropped(dropout):
    model = TextCnn(width=1 / 64, dropout=dropout).build(info(), generator())
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [dropout][: dropout > 0]


def test_relevances_without_bias_add_up_to_the_logit_and_are_zero_at_padding():
    # Biases start at 0, so that nothing but the inputs can carry relevance.
    model = TextCnn(width=1 / 4).build(info(), generator()).double()
    inputs, target = padded_texts(160, 90, 31, 4), torch.tensor([0, 3, 6, 6])
    relevance = epsilon_lrp(model, inputs, target, epsilon=0.0)
    logits = model(inputs).gather(1, target[:, None]).squeeze(1).detach()
    torch.testing.assert_close(relevance.sum((1, 2)), logits, rtol=1e-12, atol=0)
    assert (relevance[inputs == 0] == 0).all()
    assert (relevance[0] != 0).any()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_padding_has_no_relevance_whatever_the_biases(batch_norm):
    settings = TextCnn(width=1 / 4, batch_norm=batch_norm, initialization="torch")
    model = settings.build(info(), generator()).double()
    inputs = padded_texts(160, 90, 31, 0)
    relevance = epsilon_lrp(model, inputs, torch.tensor([0, 3, 6, 6]))
    assert relevance.isfinite().all()
    assert (relevance[inputs == 0] == 0).all()
    assert (relevance[1] != 0).any()


def test_equal_maxima_have_one_winner():
    model = TextCnn(width=1 / 8).build(info(400), generator()).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8).round_()
    # Every position says the same and whole numbers are exact, so that all are equal.
    word = torch.randint(-3, 4, (1, 100, 1)).double()
    relevance = epsilon_lrp(model, word.expand(1, 100, 400), torch.tensor([2]), epsilon=0.0)
    # The winner sees 5 pooled positions, each winner of which 5 more, and those 5 words each.
    assert (relevance[0].abs().sum(0) > 0).sum() == 125


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: TextCnn().build(
                DatasetInfo(n_classes=2, input_shape=(12, 250), domain="series"), generator()
            ),
            "text_cnn takes texts as word vectors, but the dataset gives samples of domain "
            "'series' and shape (12, 250); choose another model.",
        ),
        (
            lambda: TextCnn().build(info(148), generator()),
            "text_cnn takes texts of at least 149 words, but the dataset gives 148; set its "
            "length to 149 or more.",
        ),
    ],
)
def test_what_it_cannot_be_or_take_is_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message
