from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.builders import ConvNet, Flat
from trainables import occlusion
from trainables.attribution import epsilon_lrp
from trainables.datasets import RecordSamples, Samples, TokenSamples
from trainables.datasets.tensor_samples import TensorSamples
from trainables.evaluation import predict_logits
from trainables.metrics import accuracy, auc
from trainables.occlusion import descending_ranks, occlusion_mask, occlusion_metrics

SHARES = (0.25, 0.5, 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def answered(model: nn.Module, inputs: Tensor) -> TensorSamples:
    """Return samples that a model classifies without an error."""
    return TensorSamples(inputs=inputs, targets=model.eval()(inputs).argmax(1))


def images(model: nn.Module, count: int = 12) -> TensorSamples:
    return answered(model, torch.randn(count, 2, 8, 8))


def records(count: int = 10) -> RecordSamples:
    signals = torch.randn(count, 2, 9)
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(count // 2, 1)
    return RecordSamples(signals=signals, targets=targets, window=5, stride=2)


def model_and_samples(kind: str) -> tuple[nn.Module, Samples]:
    model = Flat(torch.randn(5, 128) if kind == "images" else torch.randn(2, 10))
    return model, images(model, 25) if kind == "images" else records()


class Seen:
    """Keeps every batch of inputs that a model is given without gradients."""

    def __init__(self, model: nn.Module) -> None:
        self.inputs: list[Tensor] = []
        model.register_forward_hook(self._note)

    def _note(self, _model: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        if not torch.is_grad_enabled():
            self.inputs.append(inputs[0].clone())


def test_the_most_relevant_are_hidden_first_by_a_closed_form():
    model = Flat(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 7.0]]))
    inputs = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [8.0, 3.0, 2.0, 0.5]])
    data = TensorSamples(inputs=inputs[:, None], targets=torch.tensor([0, 1, 0]))
    found = occlusion_metrics(model, data, SHARES, generator())
    # Logits (10, 7), (4, 7), (13.5, 3.5); without the 4, the last 1 and the 8, which say most
    # for the true class, (6, 7), (3, 0), (5.5, 3.5); without the 3 too, (2.5, 3.5).
    assert accuracy(predict_logits(model, data), data.targets) == 1
    assert found["occlusion/most_relevant/0.25"] == pytest.approx(1 / 3)
    assert found["occlusion/most_relevant/0.5"] == 0
    # Nothing is left but equal logits, which count for the first class.
    assert found["occlusion/most_relevant/1.0"] == pytest.approx(2 / 3)


def test_as_many_are_hidden_as_the_share_says_where_all_are_alike():
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    model[1].weight.data = torch.tensor([[1.0] * 10, [0.0] * 10])
    model[1].bias.data = torch.tensor([-5.5, 0.0])
    data = TensorSamples(inputs=torch.ones(4, 1, 10), targets=torch.zeros(4, dtype=torch.long))
    found = occlusion_metrics(model, data, (0.4, 0.45, 0.46, 0.5), generator())
    # Right while 6 of the 10 are left; 4.5 is rounded to the even 4, 4.6 to 5.
    expected = {"0.4": 1.0, "0.45": 1.0, "0.46": 0.0, "0.5": 0.0}
    assert found == {
        f"occlusion/{order}/{share}": value
        for order in ("random", "most_relevant")
        for share, value in expected.items()
    }


def test_relevances_are_summed_over_the_channels_and_all_channels_are_hidden_by_a_slow_twin():
    model = ConvNet().eval()
    data = images(model)
    seen = Seen(model)
    found = occlusion_metrics(model, data, (0.25,), generator())
    relevance = epsilon_lrp(model, data.inputs, data.targets).sum(1)
    left = data.inputs.clone()
    for i, own in enumerate(relevance):
        for position in own.flatten().argsort(descending=True)[:16].tolist():
            left[i, :, position // 8, position % 8] = 0
    assert torch.equal(seen.inputs[1], left)
    expected = float(accuracy(model(left), data.targets))
    assert found["occlusion/most_relevant/0.25"] == expected


def test_chance_hides_the_same_number_anywhere():
    model = ConvNet().eval()
    data = images(model)
    seen = Seen(model)
    occlusion_metrics(model, data, (0.25,), generator())
    is_hidden = seen.inputs[0] == 0
    assert torch.equal(is_hidden[:, 0], is_hidden[:, 1])
    assert is_hidden[:, 0].flatten(1).sum(1).tolist() == [16] * 12
    assert len({tuple(row.tolist()) for row in is_hidden[:, 0].flatten(1)}) == 12
    assert torch.equal(seen.inputs[0][~is_hidden], data.inputs[~is_hidden])


@pytest.mark.parametrize("kind", ["images", "records"])
def test_without_anything_left_a_model_sees_a_blank_input(kind):
    model, data = model_and_samples(kind)
    seen = Seen(model)
    found = occlusion_metrics(model, data, (1.0,), generator())
    assert all(not inputs.any() for inputs in seen.inputs)
    blank = model.eval()(seen.inputs[0][:1]).expand(len(data), -1)
    metric = accuracy if isinstance(data, TensorSamples) else auc
    expected = float(metric(blank, data.targets))
    assert found == {"occlusion/random/1.0": expected, "occlusion/most_relevant/1.0": expected}


def test_padding_is_neither_counted_nor_hidden():
    vectors = torch.randn(9, 3)
    vectors[0] = 0
    tokens = torch.tensor([[1, 0, 2, 0, 0, 0], [0] * 6, [3, 4, 5, 6, 7, 8], [1, 2, 3, 0, 0, 0]])
    data = TokenSamples(tokens=tokens, vectors=vectors, targets=torch.tensor([0, 1, 0, 1]))
    model = Flat(torch.randn(2, 18))
    seen = Seen(model)
    occlusion_metrics(model, data, (0.5,), generator())
    own = data.views(torch.arange(4))[0]
    for inputs in seen.inputs:
        is_word = inputs.abs().sum(1) > 0
        # Of 2, 0, 6 and 3 words 1, 0, 3 and 2 (1.5 to the even) are hidden.
        assert is_word.sum(1).tolist() == [1, 0, 3, 1]
        assert torch.equal(inputs, own * is_word[:, None])


def test_inputs_without_a_grid_have_every_feature_as_a_position():
    data = TensorSamples(inputs=torch.randn(5, 8), targets=torch.arange(5) % 2)
    model = Flat(torch.randn(2, 8))
    seen = Seen(model)
    occlusion_metrics(model, data, (0.25,), generator())
    assert [(inputs == 0).sum(1).tolist() for inputs in seen.inputs] == [[2] * 5] * 2


def test_every_window_is_occluded_by_its_own_relevance_before_the_highest_is_taken():
    model, data = Flat(torch.randn(2, 10)), records()
    found = occlusion_metrics(model, data, (0.4,), generator())
    highest = torch.full((10, 2), -torch.inf)
    for window in data.views(torch.arange(10)):
        logits = model(window)
        masked = torch.where(data.targets > 0, logits, -torch.inf)
        relevance = epsilon_lrp(model, window, masked.argmax(1)).sum(1)
        left = window.clone()
        for i, own in enumerate(relevance):
            left[i, :, own.argsort(descending=True)[:2]] = 0
        highest = highest.maximum(model(left).detach())
    assert found["occlusion/most_relevant/0.4"] == pytest.approx(float(auc(highest, data.targets)))


def test_several_labels_are_explained_by_the_highest_ranked_of_the_samples_own():
    # The third class is the highest everywhere, and none of the labels.
    weight = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 9.0]])
    data = TensorSamples(
        inputs=torch.ones(2, 1, 3), targets=torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    )
    model = Flat(weight)
    seen = Seen(model)
    occlusion_metrics(model, data, (0.34,), generator())
    assert seen.inputs[1][:, 0].tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]


def test_a_larger_share_hides_what_a_smaller_one_does():
    model = ConvNet()
    data = images(model)
    seen = Seen(model)
    occlusion_metrics(model, data, SHARES, generator())
    for less, more in zip(seen.inputs, seen.inputs[1:], strict=False):
        if more is not seen.inputs[3]:  # where the other order begins
            assert ((less == 0) <= (more == 0)).all()
    assert len(seen.inputs) == 6


def test_the_generator_decides_the_random_order_alone():
    model, data = model_and_samples("images")
    first, again, other = (
        occlusion_metrics(model, data, SHARES, generator(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    relevant = [key for key in first if "most_relevant" in key]
    assert [first[key] for key in relevant] == [other[key] for key in relevant]


@pytest.mark.parametrize("kind", ["images", "records"])
def test_relevances_do_not_depend_on_how_the_samples_are_batched(kind, monkeypatch):
    model, data = model_and_samples(kind)
    whole = occlusion_metrics(model, data, SHARES, generator())
    monkeypatch.setattr(occlusion, "_VIEWS_PER_PASS", 9)
    seen = Seen(model)
    parts = occlusion_metrics(model, data, SHARES, generator())
    assert max(map(len, seen.inputs)) == 9
    for share in SHARES:
        key = f"occlusion/most_relevant/{share}"
        assert parts[key] == pytest.approx(whole[key], abs=1e-12)


def test_the_model_is_left_as_it_was():
    model = ConvNet(batch_norm=True)
    data = images(model)
    model.train()
    model.features.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    occlusion_metrics(model, data, SHARES, generator())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    assert not model.features.training
    assert not any(module._forward_hooks for module in model.modules())


def test_without_shares_nothing_is_computed():
    model = ConvNet()
    data = images(model)
    seen = Seen(model)
    assert occlusion_metrics(model, data, (), generator()) == {}
    assert seen.inputs == []


def test_equal_scores_go_in_the_order_of_the_input_and_padding_last():
    scores = torch.tensor([[0.0, 2.0, 0.0, -1.0], [5.0, 1.0, 9.0, 1.0]])
    assert descending_ranks(scores, None).tolist() == [[1, 0, 2, 3], [1, 2, 0, 3]]
    assert torch.equal(descending_ranks(torch.zeros(1, 5000), None), torch.arange(5000)[None])
    valid_mask = torch.tensor([[False, True, True, True], [True, True, False, True]])
    assert descending_ranks(scores, valid_mask).tolist() == [[3, 0, 1, 2], [0, 1, 3, 2]]
    assert occlusion_mask(descending_ranks(scores, valid_mask), valid_mask, 0.34).tolist() == [
        [False, True, False, False],
        [True, False, False, False],
    ]
