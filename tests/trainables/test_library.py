"""Methods in a training loop of a user's own."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainables.builders import conv_inputs, conv_net, message
from trainables import (
    AttnLrp,
    Challenger,
    Cutmix,
    EpsilonLrp,
    Fgsm,
    IntegratedGradients,
    Mixup,
    Random,
)
from trainables.batch import Batch, check_batch, label_loss
from trainables.errors import ConfigError
from trainables.methods import METHODS
from trainables.replica_rng import ReplicaRNG

DOCS = Path(__file__).resolve().parents[2] / "docs"
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
EPSILON = EpsilonLrp(epsilon=0.1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels(count: int = 8, *, several: bool = False) -> Tensor:
    classes = torch.arange(count) % 5
    return nn.functional.one_hot(classes, 5).double() if several else classes


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_changes_a_batch_in_any_precision_as_in_our_own_loop(name, dtype, several):
    model, inputs = conv_net(batch_norm=True).to(dtype), conv_inputs(8).to(dtype)
    targets = labels(several=several).to(dtype) if several else labels()
    before = copy.deepcopy(model.state_dict())
    # Of their default shares some round to nothing.
    method = METHODS[name](**({"concentration": 5.0} if name in {"mixup", "cutmix"} else {}))
    found = method.change(model, inputs, targets, generator=generator(1))
    batch = Batch(inputs=inputs, targets=targets)
    expected = method.perturb(model, batch, ReplicaRNG.of(generator(1)))
    assert torch.equal(found.inputs, expected.inputs)
    assert torch.equal(found.targets, expected.targets)
    assert found.inputs.dtype == dtype
    assert torch.equal(found.features, found.inputs != inputs)
    assert bool(found.features.any()) != (name in {"base", "base_finetune", "saliency_guided"})
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    logits = model(found.inputs)
    loss = label_loss(logits, found.targets).mean()
    if found.extra_loss is not None:
        loss = loss + found.extra_loss(model, logits).mean()
    assert loss.isfinite()


def test_the_result_names_the_samples_and_features_that_were_changed():
    model, inputs = conv_net(), conv_inputs(8)
    method = Challenger(top_k=3, n_features=7, alpha=0.25, beta=0.5)
    found = method.change(model, inputs, labels(), generator=generator())
    assert found.samples.tolist() == [True] * 4 + [False] * 4
    assert found.features.flatten(1).sum(1).tolist() == [7] * 4 + [0] * 4
    moved = (found.inputs - inputs)[found.features].reshape(4, 7)
    torch.testing.assert_close(moved[:2], torch.full_like(moved[:2], -0.25))
    torch.testing.assert_close(moved[2:], torch.full_like(moved[2:], 0.5))
    called = method(model, inputs, labels(), generator=generator())
    assert torch.equal(called, found.inputs)


def test_padding_is_never_changed():
    inputs = torch.randn(8, 3, 12)
    mask = torch.arange(12).expand(8, 12) < torch.arange(3, 11)[:, None]
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 5))
    for method in (Challenger(n_features=0.5), Random(n_features=0.5), Fgsm()):
        change = method.change(model, inputs, labels(), generator=generator(), valid_mask=mask)
        assert change.features.any()
        assert not change.features[~mask[:, None].expand_as(inputs)].any()


@pytest.mark.parametrize(
    ("method", "error"),
    [
        (Challenger(top_k=6), "top_k must not exceed the 5 classes, got 6."),
        (
            Challenger(n_features=129),
            "n_features must not exceed the 128 input features, got 129.",
        ),
        (Random(n_features=129), "n_features must not exceed the 128 input features, got 129."),
        (
            Mixup(),
            "method mixup changes the targets too, so its inputs alone must not be used; call its "
            "'change', whose result holds both.",
        ),
        (
            METHODS["saliency_guided"](),
            "method saliency_guided changes the loss too, so its inputs alone must not be used; "
            "call its 'change', whose result holds both.",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(method, error):
    model = conv_net()
    found = message(
        ConfigError, lambda: method(model, conv_inputs(8), labels(), generator=generator())
    )
    assert found == error


def test_a_network_that_the_attribution_does_not_explain_is_refused_each_time():
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 9), nn.GELU(), nn.Linear(9, 5)).double()
    for _ in range(2):
        with pytest.raises(ConfigError, match="module '2', a GELU, computes 'gelu'"):
            Challenger()(model, conv_inputs(8), labels(), generator=generator())
    explained = Challenger(attribution=AttnLrp())
    for _ in range(2):
        found = explained.change(model, conv_inputs(8), labels(), generator=generator())
        assert found.samples.sum() == 4


def test_a_method_for_images_refuses_series():
    with pytest.raises(ConfigError, match="works on images"):
        Cutmix().change(conv_net(), torch.randn(8, 2, 9), labels(), generator=generator())


IMAGES, MASK = conv_inputs(3), torch.ones(3, 8, 8, dtype=torch.bool)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ((IMAGES[0, 0, 0], labels(8), None), "inputs must have the shape (batch, channel, *grid)"),
        ((IMAGES.long(), labels(3), None), "inputs must be real numbers, got torch.int64."),
        ((IMAGES, labels(4), None), "targets must be 3 class indices (int64), or real numbers of"),
        ((IMAGES, labels(3).bool(), None), "got 'torch.bool of the shape (3,)'."),
        ((IMAGES, labels(3, several=True).long(), None), "got 'torch.int64 of the shape (3, 5)'."),
        ((IMAGES, labels(3).float(), None), "targets of real numbers must have the shape (3, n_c"),
        (
            (IMAGES, labels(3), MASK.long()),
            "valid_mask must be booleans of the shape (batch, *grid",
        ),
        (
            (IMAGES, labels(3), MASK[:2]),
            "here (3, 8, 8), got 'torch.bool of the shape (2, 8, 8)'.",
        ),
        ((torch.rand(3, 4), labels(3), MASK[:, 0, 0]), "valid_mask must be booleans of the shape"),
    ],
)
def test_a_batch_of_the_wrong_kind_is_refused(batch, error):
    assert error in message(ConfigError, lambda: check_batch(*batch))


def test_a_batch_too_small_to_be_challenged_is_left_as_it_is_with_a_warning():
    inputs = conv_inputs(3)
    with pytest.warns(UserWarning, match="changes no sample of 3; it takes a batch of 4 or more"):
        found = Challenger()(conv_net(), inputs, labels(3), generator=generator())
    assert torch.equal(found, inputs)


@pytest.mark.parametrize(
    "attribution", [EPSILON, IntegratedGradients(n_steps=2)], ids=lambda a: a.name
)
@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_network_is_attributed_as_it_was_written(in_place, attribution):
    model, inputs = conv_net(), conv_inputs(8)
    method = Challenger(top_k=1, n_features=20, attribution=attribution)
    expected = method(model, inputs, labels(), generator=generator())
    compiled: Any = copy.deepcopy(model)
    if in_place:
        compiled.compile(backend="eager")
    else:
        compiled = torch.compile(compiled, backend="eager")
    for _ in range(2):  # compiled at first, then with the compiled code there
        label_loss(compiled(inputs), labels()).backward()
        found = method(compiled, inputs, labels(), generator=generator())
        assert torch.equal(found, expected)
    assert compiled.training


def test_a_network_under_distributed_data_parallel_trains_on(tmp_path):
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = DistributedDataParallel(conv_net())
        for _ in range(2):
            inputs = Challenger()(model, conv_inputs(8), labels(), generator=generator())
            label_loss(model(inputs), labels()).backward()
    finally:
        distributed.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", METHODS)
def test_a_generator_of_the_cpu_serves_a_batch_on_a_gpu(name):
    model, inputs, targets = conv_net().cuda(), conv_inputs(8).cuda(), labels().cuda()
    method, source = METHODS[name](), generator()
    first = method.change(model, inputs, targets, generator=source)
    second = method.change(model, inputs, targets, generator=source)
    again = method.change(model, inputs, targets, generator=generator())
    assert torch.equal(first.inputs, again.inputs)
    if first.features.any() and name != "fgsm":
        assert not torch.equal(first.inputs, second.inputs)


@pytest.mark.parametrize("page", ["library.md", "../README.md"])
def test_the_snippets_of_the_docs_run(page):
    torch.manual_seed(0)
    images, classes = torch.rand(64, 3, 8, 8), torch.randint(10, (64,))
    names: dict[str, Any] = {
        "loader": [(images[:32], classes[:32]), (images[32:], classes[32:])],
        "model": nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 10)),
    }
    names["optimizer"] = torch.optim.SGD(names["model"].parameters())
    names["before"] = copy.deepcopy(names["model"].state_dict())
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    assert not torch.equal(names["model"].state_dict()["1.weight"], names["before"]["1.weight"])
