"""The counted limits are what torch counts while our own code runs: no pass is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tests.benchmarks.model_families import FAMILIES, fixed_splits, noise_batch
from tests.benchmarks.operation_count import (
    count_operations,
    count_step,
    counted_ratio,
    passes_of,
)
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.errors import ConfigError
from trainables.loop import init_replica, run_epoch
from trainables.methods import METHODS, Pgd

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
        result = operation(*args, **(kwargs or {}))
        count = flop_registry.get(operation.overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


def assert_counted(config: TrialConfig) -> None:
    """Compare the count of a step with what torch counts while it is taken."""
    info = config.dataset.info
    state = init_replica(config, info, 1, CPU)
    with Counter() as counter:
        run_epoch(config, fixed_splits(noise_batch(info, BATCH_SIZE, CPU), 1), state)
    operations = count_operations(state.model, info.input_shape)
    passes = passes_of(config.method, BATCH_SIZE)
    assert 2 * count_step(operations, passes, BATCH_SIZE) == counter.flops


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_step_multiplies_as_often_as_is_counted(family, method):
    try:
        config = small(family, METHODS[method]())
    except ConfigError as error:
        assert "works on images" in str(error)  # noqa: PT017 (a refusal is one of two outcomes)
        assert method in ("cutmix", "random_erasing")
        return
    assert_counted(config)


def test_the_steps_of_an_attack_count():
    assert_counted(small("vgg11", Pgd(steps=3, split=1.0)))


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
