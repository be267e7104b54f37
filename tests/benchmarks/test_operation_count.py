"""The counted limits are what torch counts while our own code runs: not one pass is hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tests.benchmarks import operation_count as counted
from tests.benchmarks.model_families import FAMILIES, fixed_splits, noise_batch
from tests.benchmarks.operation_count import (
    Operations,
    Passes,
    count_operations,
    count_step,
    counted_ratio,
    passes_of,
)
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.errors import ConfigError
from trainables.loop import init_replica, run_epoch
from trainables.methods import METHODS, Pgd
from trainables.models import MODELS

CPU = torch.device("cpu")
BATCH_SIZE = 9  # a challenge of 2 and 2, an attack on 4


def small(family: str, method: object) -> TrialConfig:
    start_from = FromBase(epochs=1) if method == METHODS["base_finetune"]() else Scratch()
    return TrialConfig(
        dataset=FAMILIES[family].dataset,
        model=replace(FAMILIES[family].model, width=1 / 32),
        method=method,
        training=TrainingConfig(batch_size=BATCH_SIZE, start_from=start_from),
        seeds=(1,),
    )


class Counter(TorchDispatchMode):
    """Counts as torch's FlopCounterMode, which fails where a gradient is that of the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None) -> object:
        del types
        given = operation(*args, **(kwargs or {}))
        count = flop_registry.get(operation.overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=given)
        return given


def by_torch(config: TrialConfig) -> int:
    """Count the multiplications of a step by watching torch while it is taken."""
    info = config.dataset.info
    state = init_replica(config, info, 1, CPU)
    data = fixed_splits(noise_batch(info, BATCH_SIZE, CPU), 1)
    with Counter() as counter:
        run_epoch(config, data, state)
    assert counter.flops % 2 == 0
    return counter.flops // 2


def ours(config: TrialConfig) -> int:
    model = init_replica(config, config.dataset.info, 1, CPU).model
    operations = count_operations(model, config.dataset.info.input_shape)
    return count_step(operations, passes_of(config.method, BATCH_SIZE), BATCH_SIZE)


def test_every_family_of_models_is_here():
    assert sorted(FAMILIES) == sorted(MODELS)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_step_multiplies_as_often_as_is_counted_and_not_once_more(family, method):
    try:
        config = small(family, METHODS[method]())
    except ConfigError as error:
        assert "works on images" in str(error)  # noqa: PT017 (a refusal is one of two outcomes)
        assert method in ("cutmix", "random_erasing")
        return
    assert ours(config) == by_torch(config)


def test_the_steps_of_an_attack_count():
    config = small("vgg11", Pgd(steps=3, split=1.0))
    assert ours(config) == by_torch(config)
    assert passes_of(config.method, BATCH_SIZE) == Passes(explained=27)


@pytest.mark.parametrize(
    ("family", "limit"),
    [("vgg11", 1.334), ("vgg16", 1.334), ("text_cnn", 1.449), ("fcn_wang", 1.338)],
)
def test_limits_of_challenger_on_the_published_networks(family, limit):
    info = FAMILIES[family].dataset.info
    model = FAMILIES[family].model.build(info, torch.Generator())
    operations = count_operations(model, info.input_shape)
    found = counted_ratio(operations, passes_of(METHODS["challenger"](), 32), 32)
    assert found == pytest.approx(limit, abs=5e-4)


def test_layers_are_counted_by_their_weights_and_grids():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3)
    )
    model.train()
    found = count_operations(model, (2, 5, 5))
    first, second = 25 * 4 * 2 * 9, 300
    assert found == Operations(
        forward=first + second,
        weight_gradients=first + second,
        inner_gradients=second,
        outer_gradients=first,
    )
    assert found.trained == 2 * first + 3 * second
    assert found.explained == 2 * (first + second)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_a_plain_step_is_its_own_limit():
    operations = Operations(forward=4, weight_gradients=4, inner_gradients=3, outer_gradients=1)
    for method in ("base", "base_finetune", "mixup", "cutmix", "random", "random_erasing"):
        assert counted_ratio(operations, passes_of(METHODS[method](), 32), 32) == 1


def test_every_method_is_counted():
    for method in METHODS.values():
        passes_of(method(), 32)


def test_a_method_that_nobody_has_counted_is_refused(monkeypatch):
    monkeypatch.setattr(counted, "_PASSES", {"base": None, "mixup": None})
    with pytest.raises(ConfigError) as caught:
        passes_of(METHODS["fgsm"](), 32)
    assert str(caught.value) == (
        "the passes of method 'fgsm' must be counted in tests/benchmarks/operation_count.py, which "
        "knows base, mixup; add it."
    )
