"""Nothing in an epoch asks the device for an answer, and nothing copies the weights.

Every operation of an epoch is seen as it is dispatched, backward passes and the optimizer
included. On a GPU each of those that are looked for would wait until all earlier ones are done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.benchmarks.model_families import FAMILIES, fixed_splits, noise_batch
from trainables.attribution import EpsilonLrp
from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.errors import ConfigError
from trainables.loop import init_replica, run_epoch
from trainables.methods import METHODS, Challenger, MethodConfig, RelDrop
from trainables.optimizers import AdamW, Sgd
from trainables.replica_group import ReplicaState

CPU = torch.device("cpu")

# Their results, or the sizes of these, depend on numbers that lie on the device.
ANSWERS = frozenset((
    "_local_scalar_dense", "item", "is_nonzero", "equal", "allclose",
    "nonzero", "masked_select", "bincount", "_unique2", "unique_dim", "unique_consecutive",
    "repeat_interleave", "_assert_async", "histc",
))  # fmt: skip
COPIES = frozenset(("clone", "copy_", "_to_copy", "empty_like", "contiguous"))

STEPS = 2

VARIANTS: dict[str, MethodConfig] = {
    "challenger, relative ε": Challenger(attribution=EpsilonLrp(epsilon_mode="relative")),
    "challenger, a class per sample": Challenger(class_mode="topk_or_target", k_draw="sample"),
    "reldrop of blocks": RelDrop(variant="block"),
}


class Watch(TorchDispatchMode):
    """Keeps what would wait for the device, and what copies one of some tensors."""

    def __init__(self, weights: set[int] = frozenset()) -> None:
        super().__init__()
        self.waited: list[tuple[str, Any]] = []
        self.copied: list[str] = []
        self._weights = weights

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None) -> object:
        del types
        name = operation.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if name in ANSWERS or (name in ("index", "index_put_") and chooses_by_bits(args)):
            self.waited.append((name, args[0]))
        given = operation(*args, **(kwargs or {}))
        if name in COPIES - {"empty_like"}:
            source = tensors[-1] if name == "copy_" else tensors[0]
            if leaves(source, args[0] if name == "copy_" else given):
                self.waited.append((name, source))
            if source.untyped_storage().data_ptr() in self._weights:
                self.copied.append(name)
        return given


def chooses_by_bits(args: tuple[Any, ...]) -> bool:
    """Return whether an index is a mask, whose number of true bits must be known."""
    return any(isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in args[1])


def leaves(source: Tensor, given: object) -> bool:
    """Return whether a copy goes from a device to another place."""
    return isinstance(given, Tensor) and source.device.type not in ("cpu", given.device.type)


def configured(family: str, method: MethodConfig, **training: object) -> TrialConfig:
    start_from = FromBase(epochs=1) if method.name == "base_finetune" else Scratch()
    return TrialConfig(
        dataset=FAMILIES[family].dataset,
        model=replace(FAMILIES[family].model, width=1 / 32, dropout=0.3, batch_norm=True),
        method=method,
        training=TrainingConfig(batch_size=8, start_from=start_from, **training),
        seeds=(1,),
    )


def begin(config: TrialConfig) -> ReplicaState:
    return init_replica(config, config.dataset.info, 1, CPU)


def watched_epoch(config: TrialConfig) -> Watch:
    state = begin(config)
    data = fixed_splits(noise_batch(config.dataset.info, 8, CPU), STEPS)
    weights = {tensor.untyped_storage().data_ptr() for tensor in state.model.state_dict().values()}
    with Watch(weights) as watch:
        run_epoch(config, data, state)
    # Adam's count of steps is on the host by itself, unless it is asked to be elsewhere.
    counts = [kept["step"] for kept in state.optimizer.state.values() if "step" in kept]
    watch.waited = [x for x in watch.waited if not any(x[1] is count for count in counts)]
    return watch


@pytest.mark.parametrize("family", ["vgg11", "text_cnn", "fcn_wang"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_an_epoch_waits_for_no_answer_and_copies_no_weight(family, method):
    try:
        config = configured(family, METHODS[method]())
    except ConfigError as error:
        assert "works on images" in str(error)  # noqa: PT017 (a refusal is one of two outcomes)
        assert method in ("cutmix", "random_erasing")
        return
    watch = watched_epoch(config)
    assert watch.waited == []
    assert watch.copied == []


@pytest.mark.parametrize("method", sorted(VARIANTS))
def test_settings_of_a_method_do_not_make_it_wait(method):
    watch = watched_epoch(configured("vgg11", VARIANTS[method]))
    assert watch.waited == []
    assert watch.copied == []


@pytest.mark.parametrize("optimizer", [AdamW(), Sgd()], ids=str)
def test_no_optimizer_waits(optimizer):
    watch = watched_epoch(configured("vgg11", METHODS["base"](), optimizer=optimizer))
    assert watch.waited == []


@pytest.mark.parametrize("method", ["base", "challenger"])
def test_mixed_precision_waits_for_nothing(method):
    watch = watched_epoch(configured("vgg11", METHODS[method](), precision="bfloat16"))
    assert watch.waited == []


def test_no_state_dict_is_asked_for_in_an_epoch(monkeypatch):
    config = configured("fcn_wang", METHODS["challenger"]())
    state = begin(config)
    data = fixed_splits(noise_batch(config.dataset.info, 8, CPU), STEPS)
    for owner in (nn.Module, torch.optim.Optimizer):
        for name in ("state_dict", "load_state_dict"):
            monkeypatch.setattr(owner, name, lambda *_: pytest.fail("a state dict was copied"))
    run_epoch(config, data, state)
    assert state.step == STEPS


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: float(x.sum()),
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: torch.where(x > 0),
        lambda x: x.index_put_((x > 0,), torch.tensor(0.0)),
    ],
    ids=["float", "item", "bool", "nonzero", "mask", "select", "unique", "equal", "where", "put"],
)
def test_the_watch_notices_who_asks(ask):
    with Watch() as watch:
        ask(torch.ones(3))
    assert watch.waited


def test_the_watch_notices_copies_of_weights_and_from_devices():
    weight = torch.ones(3)
    with Watch({weight.untyped_storage().data_ptr()}) as watch:
        weight.clone()
        torch.zeros(3).copy_(weight)
        weight[1:].double()
    assert watch.copied == ["clone", "copy_", "_to_copy"]
    elsewhere = torch.ones(3, device="meta")
    assert leaves(elsewhere, weight)
    assert not leaves(elsewhere, elsewhere)
    assert not leaves(weight, elsewhere)
