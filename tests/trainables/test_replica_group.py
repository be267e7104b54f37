"""Replicas trained as one computation are each as if trained alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.trainables.builders import trial
from trainables.batch import interleave
from trainables.config import TrialConfig
from trainables.datasets import DatasetInfo, Digits, Splits
from trainables.datasets.tensor_samples import TensorSamples
from trainables.loop import init_replica, run_epoch, run_group_epoch
from trainables.methods import METHODS, MethodConfig, RelDrop
from trainables.models import FcnWang, TextCnn, Vgg11
from trainables.optimizers import Adam, AdamW, Sgd
from trainables.replica_group import StackedModel, stacked_group
from trainables.replica_rng import ReplicaRNG
from trainables.replicas import Replica, start_replicas, train_replicas
from trainables.seeding import stream

CPU = torch.device("cpu")
SEEDS = (3, 1, 8)
METHOD_SETTINGS: dict[str, MethodConfig] = {
    **{name: kind() for name, kind in METHODS.items()},
    "challenger, a rank per sample": METHODS["challenger"](k_draw="sample"),
    "challenger with mixup": METHODS["challenger"](mixup=METHODS["mixup"]()),
    "challenger, the label or a rank": METHODS["challenger"](class_mode="topk_or_target"),
    "reldrop of blocks": RelDrop(variant="block", candidates=3),
}


CHALLENGER: MethodConfig = METHODS["challenger"]()


def config_of(method: MethodConfig = CHALLENGER, **changes: object) -> TrialConfig:
    found = trial(
        method.name,
        model=Vgg11(width=1 / 32, batch_norm=True),
        seeds=SEEDS,
        **changes,
    )
    dataset = replace(found.dataset, subset="per_replica")
    return replace(found, method=method, dataset=dataset)


def weights(replica: Replica) -> dict[str, torch.Tensor]:
    return {k: v.double() for k, v in replica.state.model.state_dict().items()}


@pytest.mark.parametrize("method", METHOD_SETTINGS.values(), ids=METHOD_SETTINGS)
def test_a_method_changes_each_replicas_samples_as_it_does_alone(method, folders):
    config = config_of(method)
    replicas = start_replicas(config, folders, CPU)
    samples = [
        r.data.train.make_batch(torch.arange(11), stream(r.state.seed, "crops")) for r in replicas
    ]
    models = [r.state.model.double() for r in replicas]
    samples = [replace(each, inputs=each.inputs.double()) for each in samples]
    alone = [
        method.perturb(model, sample, ReplicaRNG.of(stream(seed, "challenge")))
        for model, sample, seed in zip(models, samples, SEEDS, strict=True)
    ]
    model = StackedModel(models)
    rng = ReplicaRNG.of(*(stream(seed, "challenge") for seed in SEEDS))
    found = method.perturb(model, interleave(samples), rng)
    assert found.n_replicas == len(SEEDS)
    for i, (expected, before) in enumerate(zip(alone, samples, strict=True)):
        own = found.split_by_replica(found.inputs)[:, i]
        torch.testing.assert_close(own, expected.inputs, rtol=1e-9, atol=1e-9)
        # The very same features, not only nearly the same inputs.
        assert torch.equal(own != before.inputs, expected.inputs != before.inputs)
        torch.testing.assert_close(found.split_by_replica(found.targets)[:, i], expected.targets)
        assert set(found.train_metrics) == set(expected.train_metrics)
        for name, value in expected.train_metrics.items():
            assert float(found.train_metrics[name][i]) == pytest.approx(float(value))
        if expected.extra_loss is not None:
            extra = found.extra_loss(model, model(found.inputs))
            one = expected.extra_loss(models[i], models[i](expected.inputs))
            torch.testing.assert_close(
                found.split_by_replica(extra)[:, i], one, rtol=1e-9, atol=1e-9
            )


def in_float64(replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """Leave Adam no rounding to follow: a bias before a batch norm has no other gradient."""
    for replica in replicas:
        replica.state.model.double()
    return tuple(
        Replica(
            state=replica.state,
            data=replace(
                replica.data,
                **{
                    name: TensorSamples(inputs=samples.inputs.double(), targets=samples.targets)
                    for name in ("train", "val", "test")
                    for samples in [getattr(replica.data, name)]
                },
            ),
        )
        for replica in replicas
    )


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("base", AdamW()),
        ("base_finetune", Adam()),
        ("challenger", Adam()),
        ("random", Sgd(weight_decay=1e-3)),
    ],
)
def test_a_trial_gives_the_same_reports_to_rounding(name, optimizer, folders):
    config = config_of(METHODS[name]())
    training = replace(config.training, optimizer=optimizer, epochs=3)
    config = replace(config, training=training, is_final=True)
    by_turns = in_float64(start_replicas(config, folders, CPU))
    expected = list(train_replicas(config, by_turns))
    stacked = in_float64(start_replicas(config, folders, CPU))
    found = list(train_replicas(config, stacked, stacked=True))
    assert [r and r.epoch for r in found] == [r and r.epoch for r in expected]
    for one, other in zip(found, expected, strict=True):
        if one is not None and other is not None:
            assert one.metrics.keys() == other.metrics.keys()
            for name, values in other.metrics.items():
                assert one.metrics[name] == pytest.approx(values, rel=1e-4, abs=1e-6)
    for one, other in zip(stacked, by_turns, strict=True):
        assert (one.state.epoch, one.state.step) == (other.state.epoch, other.state.step)
        for key, value in weights(other).items():
            torch.testing.assert_close(weights(one)[key], value, rtol=1e-6, atol=1e-6)


def test_in_bfloat16_replicas_train_at_once_as_they_do_alone(folders):
    config = config_of()
    config = replace(config, training=replace(config.training, precision="bfloat16", epochs=1))
    losses = [
        [report.metrics["train/loss"] for report in found if report is not None and report.epoch]
        for found in (
            train_replicas(config, start_replicas(config, folders, CPU), stacked=stacked)
            for stacked in (False, True)
        )
    ]
    assert len(losses[0][0]) == len(SEEDS)
    assert losses[1][0] == pytest.approx(losses[0][0], rel=0.02)


def test_a_step_is_one_forward_pass_of_all_replicas(folders):
    config = config_of(METHODS["base"]())
    replicas = start_replicas(config, folders, CPU)
    group = stacked_group(config, [r.data for r in replicas], [r.state for r in replicas])
    rows: list[int] = []
    group.model.register_forward_hook(lambda _m, _i, logits: rows.append(len(logits)))
    run_group_epoch(config, group)
    # Twenty digits in batches of eight, of three replicas.
    assert rows == [24, 24, 12]


def saved(replicas: tuple[Replica, ...]) -> list[dict]:
    file = io.BytesIO()
    torch.save([replica.state.state_dict() for replica in replicas], file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_checkpoint_goes_on_bit_for_bit(folders):
    config = config_of()
    whole = start_replicas(config, folders, CPU)
    expected = [report.metrics for report in train_replicas(config, whole, stacked=True) if report]
    first = start_replicas(config, folders, CPU)
    run = train_replicas(config, first, stacked=True)
    for _ in range(4):  # three epochs, in the middle of a window
        next(run)
    second = start_replicas(config, folders, CPU)
    for replica, state in zip(second, saved(first), strict=True):
        replica.state.load_state_dict(state)
    assert [replica.state.epoch for replica in second] == [3, 3, 3]
    rest = [r.metrics for r in train_replicas(config, second, stacked=True) if r]
    assert rest == expected[-len(rest) :]
    for one, other in zip(second, whole, strict=True):
        assert all(torch.equal(v, weights(one)[k]) for k, v in weights(other).items())


def test_a_trial_may_go_on_by_turns_after_it_was_trained_at_once(folders):
    config = config_of(METHODS["random"]())
    replicas = start_replicas(config, folders, CPU)
    group = stacked_group(config, [r.data for r in replicas], [r.state for r in replicas])
    run_group_epoch(config, group)
    again = start_replicas(config, folders, CPU)
    for replica, state in zip(again, saved(replicas), strict=True):
        replica.state.load_state_dict(state)
    for one, other in zip(again, replicas, strict=True):
        run_epoch(config, one.data, one.state)
        run_epoch(config, other.data, other.state)
        assert all(torch.equal(v, weights(one)[k]) for k, v in weights(other).items())


def test_a_loss_that_is_not_finite_is_found_in_its_own_replica(folders):
    config = config_of(METHODS["base"]())
    replicas = list(start_replicas(config, folders, CPU))
    data = replicas[1].data
    inputs = torch.full_like(data.train.inputs, torch.nan)
    train = TensorSamples(inputs=inputs, targets=data.train.targets)
    replicas[1] = replace(replicas[1], data=replace(data, train=train))
    group = stacked_group(config, [r.data for r in replicas], [r.state for r in replicas])
    run_group_epoch(config, group)
    assert [int(replica.state.window.first_nonfinite_step) for replica in replicas] == [-1, 1, -1]


def images() -> torch.Tensor:
    return torch.randn(12, *Digits().info.input_shape)


NETWORKS: dict[str, tuple[Callable[[torch.Generator], nn.Module], tuple[int, ...]]] = {
    "vgg11": (
        lambda g: Vgg11(width=1 / 32, batch_norm=True).build(Digits().info, g),
        Digits().info.input_shape,
    ),
    "fcn_wang": (
        lambda g: FcnWang(width=1 / 32, dropout=0.0).build(
            replace(Digits().info, domain="series", input_shape=(3, 40)), g
        ),
        (3, 40),
    ),
    "text_cnn": (
        lambda g: TextCnn(width=1 / 32).build(
            replace(Digits().info, domain="text", input_shape=(5, 160)), g
        ),
        (5, 160),
    ),
}


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_family_computes_together_what_it_computes_alone(name, mode):
    build, shape = NETWORKS[name]
    networks = [build(torch.Generator().manual_seed(i)).double().train(mode) for i in range(3)]
    inputs = torch.randn(4, 3, *shape, dtype=torch.float64)
    leaves = [inputs[:, i].clone().requires_grad_() for i in range(3)]
    before = [{k: v.clone() for k, v in n.state_dict().items()} for n in networks]
    expected = [network(leaf) for network, leaf in zip(networks, leaves, strict=True)]
    torch.stack([logits.square().sum() for logits in expected]).sum().backward()
    after = [{k: v.clone() for k, v in n.state_dict().items()} for n in networks]
    gradients = [{k: p.grad.clone() for k, p in n.named_parameters()} for n in networks]
    for network, state in zip(networks, before, strict=True):
        network.load_state_dict(state)
    model = StackedModel(networks).train(mode)
    leaf = inputs.flatten(0, 1).requires_grad_()
    logits = model(leaf)
    logits.square().sum().backward()
    for i, network in enumerate(networks):
        torch.testing.assert_close(logits.unflatten(0, (4, 3))[:, i], expected[i])
        torch.testing.assert_close(leaf.grad.unflatten(0, (4, 3))[:, i], leaves[i].grad)
        for key, weight in model.weights.items():
            torch.testing.assert_close(weight.grad[i], gradients[i][key])
        # The networks' own buffers are views of the joint ones.
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, after[i][key])


def test_a_joint_model_shares_its_memory_with_the_networks():
    networks = [Vgg11(width=1 / 32).build(Digits().info, stream(i, "x")) for i in range(2)]
    model = StackedModel(networks)
    with torch.no_grad():
        for weight in model.weights.values():
            weight.add_(1.0)
    for i, network in enumerate(networks):
        for key, parameter in network.named_parameters():
            assert parameter.data_ptr() == model.weights[key][i].data_ptr()
            assert torch.equal(parameter, model.weights[key][i])


def test_initial_weights_are_those_of_each_seed(folders):
    config = config_of()
    replicas = start_replicas(config, folders, CPU)
    info: DatasetInfo = config.dataset.info
    stacked_group(config, [r.data for r in replicas], [r.state for r in replicas])
    for replica in replicas:
        data: Splits = replica.data
        assert len(data.train) == 20
        expected = init_replica(config, info, replica.state.seed, CPU).model.state_dict()
        found = replica.state.model.state_dict()
        assert all(torch.equal(value, found[key]) for key, value in expected.items())
