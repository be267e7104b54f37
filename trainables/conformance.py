"""What every dataset, model, method, attribution and metric must hold, built in or a plug-in's.

Each check uses a part as training does and yields, as sentences, what is wrong with it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from trainables.attribution import Attribution
from trainables.batch import Batch, interleave, is_multi_label
from trainables.config import TrialConfig
from trainables.datasets import DataFolders, Dataset, DatasetInfo, Samples, Splits
from trainables.errors import ConfigError, PluginError
from trainables.methods import Method
from trainables.metrics import Score
from trainables.models import Model
from trainables.plugins import (
    Part,
    errors_located,
    line_of,
    loaded_metrics,
    loaded_modules,
)
from trainables.replica_rng import ReplicaRNG

_N: Final = 8
SAMPLE_INFOS: Final = (
    DatasetInfo(n_classes=10, input_shape=(1, 28, 28), domain="image"),
    DatasetInfo(n_classes=6, input_shape=(20, 160), domain="text"),
    DatasetInfo(n_classes=5, input_shape=(12, 250), domain="series", is_multi_label=True),
)
"""Facts of data on which a part is tried that no study names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPart:
    """The outcome of the conformance check of a part.

    Attributes:
        kind: Kind of the part.
        name: Its name.
        problems: What is wrong with it; empty if it conforms.
        note: What could not be checked, or what it was checked on.
    """

    kind: str
    name: str
    problems: tuple[str, ...]
    note: str = ""


def check_part(part: Part, folders: DataFolders) -> CheckedPart:
    """Check a part by itself, with the defaults of its settings.

    A dataset is read from the folders; the others are tried on images, texts and series, and must
    accept one of them.
    """
    value = part.value
    if part.kind != "metric" and not _has_defaults(value):
        note = "has settings without defaults; checked when a study names it"
        return CheckedPart(kind=part.kind, name=part.name, problems=(), note=note)
    checks: dict[str, Callable[[Any], Iterator[str]]] = {
        "dataset": lambda kind: check_dataset(kind(), folders),
        "metric": lambda score: check_metric(score, multi_label=False),
        "model": lambda kind: _on_samples(kind(), check_model),
        "method": lambda kind: _on_samples(kind(), check_method),
        "attribution": lambda kind: _on_samples(kind(), check_attribution),
    }
    return CheckedPart(
        kind=part.kind,
        name=part.name,
        problems=problems_of(value, lambda: checks[part.kind](value)),
    )


def check_config(config: TrialConfig, folders: DataFolders) -> tuple[str, ...]:
    """Return what is wrong with the parts of a trial that come from plug-ins, as used together."""
    info, network = config.dataset.info, config.model.build(config.dataset.info, _generator(0))
    attribution: Any = getattr(config.method, "attribution", None)
    checks: list[tuple[object, Callable[[], Iterator[str]]]] = [
        (config.dataset, lambda: check_dataset(config.dataset, folders)),
        (config.model, lambda: check_model(config.model, info)),
        (config.method, lambda: check_method(config.method, info, network)),
        (attribution, lambda: check_attribution(attribution, info, network)),
    ]
    found = [
        problem
        for part, check in checks
        if part is not None and type(part).__module__.partition(".")[0] in loaded_modules()
        for problem in problems_of(part, check)
    ]
    for score in loaded_metrics():
        check = partial(check_metric, score, multi_label=info.is_multi_label)
        found += problems_of(score, check)
    return tuple(found)


def problems_of(value: object, check: Callable[[], Iterator[str]]) -> tuple[str, ...]:
    """Run a check on a part of a plug-in; what its code raises is a problem with file and line.

    Args:
        value: The part: its class, an object of it, or a metric.
        check: Yields problems.
    """
    target = value.compute if isinstance(value, Score) else value
    thing = target if isinstance(target, type) or callable(target) else type(target)
    kind = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    top, line = kind.__module__.partition(".")[0], line_of(kind)
    try:
        with errors_located(top, line):
            return tuple(f"{line}: {problem}" for problem in check())
    except PluginError as error:
        return (str(error),)


def check_dataset(dataset: Dataset, folders: DataFolders) -> Iterator[str]:
    """Yield what is wrong with a dataset: facts, sizes and shapes, and the same data each time."""
    info = dataset.info
    if info.n_classes < 2:
        yield f"info.n_classes must be at least 2, got {info.n_classes}."
    dataset.check(folders)
    state = torch.get_rng_state()
    splits, again = dataset.load(folders, 0), dataset.load(folders, 0)
    if not torch.equal(torch.get_rng_state(), state):
        yield "load must not use torch's global generator; draw from 'stream(seed, …)'."
    if not isinstance(splits, Splits):
        yield f"load must return Splits, got {type(splits).__name__}."
        return
    for name in ("train", "val", "test"):
        samples: Samples = getattr(splits, name)
        if not isinstance(samples, Samples):
            yield f"{name} must be Samples, with take, to, make_batch, views and valid_mask."
            continue
        if len(samples) == 0:
            yield f"{name} must have a sample, but is empty."
            continue
        yield from (f"{name}: {problem}" for problem in _check_samples(samples, info))
        if not torch.equal(samples.targets, getattr(again, name).targets):
            yield f"load must return the same {name} samples each time for one seed."


def check_model(model: Model, info: DatasetInfo) -> Iterator[str]:
    """Yield what is wrong with a model on such data; it may refuse them by a ConfigError."""
    state = torch.get_rng_state()
    network = model.build(info, _generator(0))
    if not torch.equal(torch.get_rng_state(), state):
        yield "build must leave torch's global generator as it was; use 'torch.random.fork_rng'."
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        again = model.build(info, _generator(0))
    pairs = zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    if not all(torch.equal(a, b) for a, b in pairs):
        yield "build must draw weights from the given generator alone: two calls gave others."
    inputs = _inputs(info)
    given = inputs.clone()
    logits = network.eval()(inputs)
    if logits.shape != (_N, info.n_classes):
        yield f"it must return logits {(_N, info.n_classes)}, got {tuple(logits.shape)}."
        return
    if not logits.isfinite().all():
        yield "its logits must be finite."
    if not torch.equal(inputs, given):
        yield "it must not change its inputs."
    if not torch.equal(network(inputs), logits):
        yield "it must return the same logits twice in eval mode."
    network.train()(inputs).square().sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    if without:
        yield f"a gradient must reach every parameter, but none reached {without[0]!r}."


def check_method(
    method: Method, info: DatasetInfo, network: nn.Module | None = None
) -> Iterator[str]:
    """Yield what is wrong with a method on such data; it may refuse them by a ConfigError."""
    method.check(info)
    model = (network or _network(info)).train()
    weights, batch = copy.deepcopy(model.state_dict()), _batch(info, 0)
    inputs, targets = batch.inputs.clone(), batch.targets.clone()
    state = torch.get_rng_state()
    result = method.perturb(model, batch, ReplicaRNG.of(_generator(1)))
    if not torch.equal(torch.get_rng_state(), state):
        yield "perturb must draw from the given ReplicaRNG alone, not torch's global generator."
    if result.inputs.shape != inputs.shape or result.inputs.dtype != inputs.dtype:
        yield (
            f"perturb must keep the inputs' shape and kind, {tuple(inputs.shape)} {inputs.dtype}, "
            f"got {tuple(result.inputs.shape)} {result.inputs.dtype}."
        )
        return
    if not result.inputs.isfinite().all() or result.inputs.requires_grad:
        yield "perturb must return finite inputs, detached from the graph."
    if not (torch.equal(batch.inputs, inputs) and torch.equal(batch.targets, targets)):
        yield "perturb must not change the given batch, but return another."
    classes = (_N, info.n_classes)
    if result.targets.shape not in (targets.shape, classes):
        yield f"perturb must return a class or {classes} numbers as targets."
    if not all(module.training for module in model.modules()):
        yield "perturb must leave the model in its mode."
    if any(p.grad is not None for p in model.parameters()):
        yield "perturb must leave no gradients on the model's parameters."
    if not all(torch.equal(v, weights[k]) for k, v in model.state_dict().items()):
        yield "perturb must not change the model's weights and statistics."
    again = method.perturb(model, _batch(info, 0), ReplicaRNG.of(_generator(1)))
    if not torch.equal(again.inputs, result.inputs):
        yield "perturb must return the same batch for equal generators."
    yield from _check_replicas(method, info, model)


def check_attribution(
    attribution: Attribution, info: DatasetInfo, network: nn.Module | None = None
) -> Iterator[str]:
    """Yield what is wrong with an attribution on a network; it may refuse it by a ConfigError."""
    model = (network or _network(info)).train()
    inputs, target = _inputs(info), torch.arange(_N) % info.n_classes
    attribution.check(model, inputs[:1])
    given, weights = inputs.clone(), copy.deepcopy(model.state_dict())
    relevance = attribution(model, inputs, target)
    if relevance.shape != inputs.shape or relevance.dtype != inputs.dtype:
        yield (
            f"it must return relevances like the inputs, {tuple(inputs.shape)} {inputs.dtype}, "
            f"got {tuple(relevance.shape)} {relevance.dtype}."
        )
        return
    if relevance.requires_grad or not relevance.isfinite().all():
        yield "its relevances must be finite, and detached from the graph."
    if inputs.requires_grad or not torch.equal(inputs, given):
        yield "it must leave the inputs as they were."
    if not all(module.training for module in model.modules()):
        yield "it must leave the model in its mode."
    if any(p.grad is not None for p in model.parameters()) or not all(
        torch.equal(v, weights[k]) for k, v in model.state_dict().items()
    ):
        yield "it must leave weights, statistics and gradients of the model as they were."
    if not torch.equal(attribution(model, inputs, target), relevance):
        yield "it must return the same relevances twice."
    chosen = attribution(model, inputs, lambda logits: target.to(logits.device))
    if not torch.equal(chosen, relevance):
        yield "it must take a function from the logits to the classes as target."


def check_metric(score: Score, *, multi_label: bool) -> Iterator[str]:
    """Yield what is wrong with a metric of predictions."""
    generator = _generator(0)
    logits = torch.randn(60, 5, generator=generator)
    classes = torch.arange(60) % 5
    labels = (torch.rand(60, 5, generator=generator) < 0.5).float()
    targets: Tensor = labels if multi_label else classes
    value = score.compute(logits, targets)
    if not isinstance(value, Tensor) or value.shape != () or not value.isfinite():
        yield f"it must return one finite number as a tensor of shape (), got {value!r:.80}."
        return
    order = torch.randperm(60, generator=generator)
    if not torch.allclose(score.compute(logits[order], targets[order]).double(), value.double()):
        yield "it must not depend on the order of the samples."
    signs = labels if multi_label else nn.functional.one_hot(classes, 5).float()
    perfect = score.compute(40 * (signs - 0.5), targets).double()
    is_better = perfect >= value if score.higher_is_better else perfect <= value
    if not is_better:
        yield (
            f"its direction is {score.direction!r}, but perfect predictions score {perfect:.4g} "
            f"and random ones {value:.4g}."
        )


def _on_samples(
    value: Any,  # noqa: ANN401 (settings of any kind)
    check: Callable[[Any, DatasetInfo], Iterator[str]],
) -> Iterator[str]:
    """Run a check on each kind of data that the part accepts."""
    refusals = []
    for info in SAMPLE_INFOS:
        try:
            problems = list(check(value, info))
        except ConfigError as error:
            refusals.append(f"{info.domain}: {error}")
            continue
        shape = "×".join(map(str, info.input_shape))
        yield from (f"on {info.domain} data {shape}: {problem}" for problem in problems)
    if len(refusals) == len(SAMPLE_INFOS):
        yield f"it must accept images, texts or series, but refuses all: {' '.join(refusals)}"


def _check_samples(samples: Samples, info: DatasetInfo) -> Iterator[str]:
    targets, indices = samples.targets, torch.arange(min(3, len(samples)))
    shape = (len(indices), *info.input_shape)
    if is_multi_label(targets) != info.is_multi_label:
        yield "targets must be class indices, or numbers per class if info.is_multi_label."
        return
    highest = targets.shape[1] - 1 if info.is_multi_label else int(targets.max())
    if highest >= info.n_classes or (not info.is_multi_label and int(targets.min()) < 0):
        yield f"its classes must be within info.n_classes, 0 to {info.n_classes - 1}."
    batch = samples.make_batch(indices, _generator(0))
    for name, inputs in (("make_batch", batch.inputs), ("views", samples.views(indices)[0])):
        if inputs.shape != shape or inputs.dtype != torch.float32:
            yield (
                f"{name} must return inputs {shape} in float32, got {tuple(inputs.shape)} "
                f"{inputs.dtype}."
            )
        elif not inputs.isfinite().all():
            yield f"{name} must return finite inputs."
    if len(samples.take(indices)) != len(indices):
        yield "take must return the samples of the indices."


def _check_replicas(method: Method, info: DatasetInfo, model: nn.Module) -> Iterator[str]:
    """Check that two replicas in one batch get what each of them gets alone."""
    batches = [_batch(info, seed) for seed in (0, 1)]
    alone = [
        method.perturb(model, batch, ReplicaRNG.of(_generator(seed)))
        for seed, batch in enumerate(batches)
    ]
    joint = method.perturb(model, interleave(batches), ReplicaRNG.of(_generator(0), _generator(1)))
    parts = [joint.inputs[r::2] for r in range(2)]
    if not all(torch.allclose(a.inputs, b, atol=1e-5) for a, b in zip(alone, parts, strict=True)):
        yield (
            "perturb must treat interleaved replicas as it treats each alone: draw by 'rng.rand' "
            "and the like, and count samples per replica ('batch.n_replicas')."
        )


def _has_defaults(kind: type) -> bool:
    return all(
        field.default is not dataclasses.MISSING
        or field.default_factory is not dataclasses.MISSING
        for field in dataclasses.fields(kind)
    )


def _network(info: DatasetInfo) -> nn.Module:
    """Return a small piecewise-linear network for such data, with torch's default weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _SmallNetwork(info)


class _SmallNetwork(nn.Module):
    """A convolution and two linear layers; 1-d data is taken as an image of height 1."""

    def __init__(self, info: DatasetInfo) -> None:
        super().__init__()
        self.is_grid = len(info.input_shape) == 3
        self.features = nn.Sequential(
            nn.Conv2d(info.input_shape[0], 8, (3 if self.is_grid else 1, 3)),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((4 if self.is_grid else 1, 4)),
        )
        self.head = nn.Linear(8 * (16 if self.is_grid else 4), info.n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the logits."""
        images = inputs if self.is_grid else inputs[:, :, None]
        logits: Tensor = self.head(self.features(images).flatten(1))
        return logits


def _inputs(info: DatasetInfo, seed: int = 0) -> Tensor:
    return info.spread * torch.randn(_N, *info.input_shape, generator=_generator(seed))


def _batch(info: DatasetInfo, seed: int) -> Batch:
    targets = torch.arange(_N) % info.n_classes
    labels = nn.functional.one_hot(targets, info.n_classes).float()
    return Batch(inputs=_inputs(info, seed), targets=labels if info.is_multi_label else targets)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


__all__ = [
    "SAMPLE_INFOS",
    "CheckedPart",
    "check_attribution",
    "check_config",
    "check_dataset",
    "check_method",
    "check_metric",
    "check_model",
    "check_part",
    "problems_of",
]
