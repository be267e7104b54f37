from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.oracles import challenger as oracle
from tests.trainables.builders import Flat
from tests.trainables.methods.small_network import seeded
from trainables.attribution import EpsilonLrp, InputXGradient
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import Challenger, Mixup

N_CLASSES = 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Sequential:
    """Build a convolution, a max pool and two linear layers for 2 × 6 × 6 inputs.

    Biases are high enough that few units are silent: features that share the relevance 0 could
    be ranked either way.
    """
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 6),
        nn.ReLU(),
        nn.Linear(6, N_CLASSES),
    )
    model[0].bias.data += 2
    model[4].bias.data += 1
    return model.double()


def twin(model: nn.Sequential) -> list[oracle.Layer]:
    conv, first, second = model[0], model[4], model[6]
    return [
        oracle.convolution(conv.weight.flatten().tolist(), conv.bias.tolist(), (2, 6, 6), 3),
        oracle.Relu(),
        oracle.max_pool((3, 4, 4), 2),
        oracle.dense(first.weight.tolist(), first.bias.tolist()),
        oracle.Relu(),
        oracle.dense(second.weight.tolist(), second.bias.tolist()),
    ]


def batch(count: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(count, 2, 6, 6, dtype=torch.float64)
    return inputs, torch.randint(N_CLASSES, (count,))


def replicated_draws(method: Challenger, challenged: int, seed: int) -> oracle.Draws:
    """Draw as the method documents it: the rank first, then a coin per sample."""
    source = generator(seed)
    ranks = [0] * challenged
    if method.class_mode != "target":
        count = 1 if method.k_draw == "batch" else challenged
        drawn = torch.randint(method.top_k, (count, 1), generator=source).flatten().tolist()
        ranks = drawn * challenged if method.k_draw == "batch" else drawn
    coins = torch.rand(challenged, 1, generator=source).flatten() < 0.5
    return oracle.Draws(ranks=tuple(ranks), takes_highest=tuple(coins.tolist()))


METHODS = {
    "paper": Challenger(top_k=3, n_features=9, alpha=0.5, beta=0.75),
    "one rank per sample": Challenger(top_k=4, n_features=5, k_draw="sample"),
    "label": Challenger(top_k=2, n_features=5, class_mode="target"),
    "top class": Challenger(top_k=1, n_features=20),
    "uneven split": Challenger(top_k=3, n_features=0.25, split=0.8, a_fraction=0.3),
    "large epsilon": Challenger(top_k=3, n_features=9, attribution=EpsilonLrp(epsilon=0.1)),
    "only a": Challenger(top_k=3, n_features=9, a_fraction=1.0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_it_is_algorithm_1_of_the_paper(name, seed):
    method, model = METHODS[name], network()
    inputs, targets = batch()
    part_a = method.split * method.a_fraction
    part_b = method.split * (1 - method.a_fraction)
    challenged = int(11 * part_a) + int(11 * part_b)
    n = method.n_features if isinstance(method.n_features, int) else 18
    settings = oracle.Settings(
        n_features=n,
        alpha=method.alpha,
        beta=method.beta,
        part_a=part_a,
        part_b=part_b,
        epsilon=method.attribution.epsilon,
        of_target=method.class_mode == "target",
    )
    rng = replicated_draws(method, challenged, seed)
    layers, labels = twin(model), targets.tolist()
    expected = oracle.perturb(layers, inputs.flatten(1).tolist(), labels, settings, rng)
    expected_layers, expected_loss = oracle.training_step(layers, expected, labels, 0.1)

    changed = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(seed))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(changed.inputs), changed.targets)
    loss.backward()
    optimizer.step()

    assert changed.inputs.flatten(1).tolist() == expected
    assert float(loss.detach()) == pytest.approx(expected_loss, rel=1e-12)
    stepped = twin(model)
    for found, slow in zip(stepped, expected_layers, strict=True):
        if isinstance(found, oracle.Linear):
            assert found.weights == pytest.approx(slow.weights, rel=1e-10, abs=1e-13)
            assert found.biases == pytest.approx(slow.biases, rel=1e-10, abs=1e-13)
    assert stepped != layers


def test_the_twin_is_no_copy_of_its_inputs():
    """Were the networks equal before and after, the comparison above would show nothing."""
    model = network()
    inputs, targets = batch()
    method = METHODS["paper"]
    changed = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    differs = (changed.inputs != inputs).flatten(1).sum(1)
    assert differs.tolist() == [9] * 4 + [0] * 7


def test_parts_a_and_b_go_down_and_up_and_the_rest_is_bit_identical():
    model = network()
    inputs, targets = batch(16)
    before = inputs.clone()
    labels = targets.clone()
    changed = Challenger(top_k=2, n_features=3, alpha=0.5, beta=0.25).perturb(
        model, Batch(inputs=inputs, targets=targets), seeded()
    )
    steps = (changed.inputs - inputs).flatten(1)
    assert (steps[:4].min(1).values + 0.5).abs().max() < 1e-12
    assert (steps[:4].max(1).values == 0).all()
    assert (steps[4:8].max(1).values - 0.25).abs().max() < 1e-12
    assert (steps[4:8].min(1).values == 0).all()
    assert torch.equal(changed.inputs[8:], before[8:])
    assert torch.equal(inputs, before)
    assert torch.equal(changed.targets, labels)


def test_only_challenged_samples_are_attributed():
    model = network()
    rows = []
    model.register_forward_hook(lambda _module, _inputs, output: rows.append(len(output)))
    inputs, targets = batch(11)
    Challenger(top_k=2, n_features=3).perturb(
        model, Batch(inputs=inputs, targets=targets), seeded()
    )
    assert rows == [4]


def test_a_batch_too_small_for_its_parts_is_left_alone_without_a_forward_pass():
    model = network()
    model.register_forward_hook(lambda *_: pytest.fail("attributed for nothing"))
    inputs, targets = batch(3)
    changed = Challenger(top_k=2).perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert torch.equal(changed.inputs, inputs)
    assert torch.equal(changed.targets, targets)


class Recorder:
    """A linear model of which the explained classes can be seen in the changed feature.

    Class c alone depends on feature c, with weight 1 + c: its relevance is at feature c.
    """

    def __init__(self) -> None:
        self.model = Flat(torch.diag(torch.arange(1.0, 7.0)))
        self.inputs = torch.ones(400, 1, 6)  # the ranking is 5, 4, 3, 2, 1, 0
        self.targets = torch.zeros(400, dtype=torch.long)

    def explained(self, method: Challenger, seed: int = 0) -> list[int]:
        # Features are all positive: the highest relevance is the explained class's feature;
        # where the coin takes the lowest, a zero is taken, so only the former are kept.
        changed = method.perturb(
            self.model, Batch(inputs=self.inputs, targets=self.targets), seeded(seed)
        )
        source = generator(seed)
        parts = 200
        if method.class_mode != "target":
            count = 1 if method.k_draw == "batch" else parts
            torch.randint(method.top_k, (count, 1), generator=source)
        if method.class_mode == "topk_or_target":
            torch.rand(parts, generator=source)
        highest = torch.rand(parts, 1, generator=source).flatten() < 0.5
        moved = (changed.inputs != self.inputs).flatten(1)[:parts]
        assert (moved.sum(1) == 1).all()
        return moved[highest].long().argmax(1).tolist()


def test_one_rank_is_drawn_for_the_whole_batch_from_the_k_highest():
    recorder = Recorder()
    method = Challenger(top_k=3, n_features=1, attribution=InputXGradient())
    classes = [set(recorder.explained(method, seed)) for seed in range(30)]
    assert all(len(explained) == 1 for explained in classes)
    assert set.union(*classes) == {5, 4, 3}


def test_one_rank_is_drawn_per_sample_if_asked():
    method = Challenger(top_k=3, n_features=1, k_draw="sample", attribution=InputXGradient())
    explained = Recorder().explained(method)
    assert set(explained) == {5, 4, 3}
    # About 100 samples, a third each: 15 to 55 is four standard deviations.
    assert all(15 < explained.count(k) < 55 for k in (5, 4, 3))


def test_the_label_is_explained_if_asked():
    method = Challenger(top_k=3, n_features=1, class_mode="target", attribution=InputXGradient())
    assert set(Recorder().explained(method)) == {0}


def test_rank_or_label_by_a_coin_flip_if_asked():
    method = Challenger(
        top_k=1, n_features=1, class_mode="topk_or_target", attribution=InputXGradient()
    )
    explained = Recorder().explained(method)
    assert set(explained) == {5, 0}
    assert all(25 < explained.count(k) < 75 for k in (5, 0))


def test_clipping_bounds_challenged_samples():
    inputs, targets = batch(16)
    method = Challenger(top_k=2, n_features=3, clip=(-1.0, 1.0))
    changed = method.perturb(network(), Batch(inputs=inputs, targets=targets), seeded()).inputs
    assert changed[:8].abs().max() == 1
    assert torch.equal(changed[8:], inputs[8:])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Challenger(top_k=11).check(Digits().info),
            "top_k must not exceed the 10 classes, got 11.",
        ),
        (
            lambda: Challenger(n_features=785).check(Digits().info),
            "n_features must not exceed the 784 input features, got 785.",
        ),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_as_many_classes_and_features_as_there_are_may_be_asked_for():
    Challenger(top_k=10, n_features=784).check(Digits().info)


def test_any_rank_is_accepted_where_the_label_is_explained_and_no_rank_is_drawn():
    Challenger(top_k=11, class_mode="target").check(Digits().info)
    for mode in ("topk", "topk_or_target"):
        with pytest.raises(ConfigError, match="top_k must not exceed the 10 classes, got 11"):
            Challenger(top_k=11, class_mode=mode).check(Digits().info)


def test_with_mixup_the_challenged_batch_is_mixed():
    model = network()
    inputs, targets = batch()
    plain = Challenger(top_k=2, n_features=3)
    source = seeded(4)
    challenged = plain.perturb(model, Batch(inputs=inputs, targets=targets), source)
    expected = Mixup(concentration=0.4).perturb(model, challenged, source)
    mixed = replace(plain, mixup=Mixup(concentration=0.4)).perturb(
        model, Batch(inputs=inputs, targets=targets), seeded(4)
    )
    assert torch.equal(mixed.inputs, expected.inputs)
    assert torch.equal(mixed.targets, expected.targets)
    assert mixed.targets.is_floating_point()
    assert not torch.equal(mixed.inputs, challenged.inputs)


@pytest.mark.parametrize("class_mode", ["topk", "target", "topk_or_target"])
def test_of_several_labels_the_highest_ranked_is_the_target(class_mode):
    model, (inputs, targets) = network(), batch()
    labels = nn.functional.one_hot(targets, model(inputs).shape[1]).to(inputs.dtype)
    ranked = model(inputs).argsort(1, descending=True)
    several = labels.scatter(1, ranked[:, -1:], 1.0)
    method = Challenger(top_k=1, n_features=5, class_mode=class_mode)
    found = method.perturb(model, Batch(inputs=inputs, targets=several), seeded(0))
    single = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(0))
    assert torch.equal(found.inputs, single.inputs)
    assert not torch.equal(found.inputs, inputs)


def test_in_train_mode_batch_norms_use_the_challenged_samples_and_keep_their_statistics():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(72, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, N_CLASSES)
    ).double()
    inputs, targets = batch(12)
    twin = copy.deepcopy(model)
    leaf = inputs[:6].clone().requires_grad_()
    twin(leaf).gather(1, targets[:6, None]).sum().backward()
    expected = inputs[:6] * leaf.grad

    attributions = []

    class Recorded(InputXGradient):
        def __call__(self, *args: Any) -> torch.Tensor:  # noqa: ANN401
            attributions.append(super().__call__(*args))
            return attributions[-1]

    before = copy.deepcopy(model.state_dict())
    method = Challenger(n_features=3, class_mode="target", attribution=InputXGradient())
    for mode in ("train", "eval"):
        record = replace(method, attribution_mode=mode)
        object.__setattr__(record, "attribution", Recorded())
        record.perturb(model, Batch(inputs=inputs, targets=targets), seeded())
        assert all(module.training for module in model.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    in_train, in_eval = attributions
    torch.testing.assert_close(in_train, expected)
    assert not torch.allclose(in_eval, expected)


def test_in_train_mode_dropout_draws():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(72, N_CLASSES)).double()
    inputs, targets = batch(12)
    method = Challenger(n_features=10, top_k=1, attribution_mode="train")

    def challenged() -> torch.Tensor:
        return method.perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs

    assert not torch.equal(challenged(), challenged())
