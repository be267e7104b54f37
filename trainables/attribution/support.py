"""Calls of Captum on a weight-sharing copy of the model, and checks of the models it supports.

Captum leaves hooks, rules and activations on modules. It works on modules: functional operations
and modules that are called twice are silently attributed wrongly by some methods, and fail in
others.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.attribution.attribution import Target
from trainables.attribution.gradients import target_classes, uncompiled

# Builds one of Captum's attributions from captum.attr and a model.
AttributionFactory: TypeAlias = Callable[[ModuleType, nn.Module], Any]

# Rows of a forward pass with several points per sample; bounds memory.
ROWS_PER_PASS = 256

# Warnings of every call, which the copy of the model makes harmless.
_CAPTUM_WARNINGS = (
    r"Input Tensor \d+ did not already require gradients",
    r"Setting forward, backward hooks and attributes on non-linear",
    r"Setting backward hooks on ReLU activations",
)


def captum_call(
    build: AttributionFactory,
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    **options: object,
) -> Float[Tensor, "batch channel *grid"]:
    """Return the detached result of one of Captum's classes in eval mode, on a copy of the model.

    Costs one forward pass more than Captum if ``target`` is a function. ``options`` are further
    arguments of Captum's ``attribute``.
    """
    from captum import attr  # slow to import, and unused in most trials

    # torch.compile wraps a network, and its own code cannot be copied.
    model = weight_sharing_copy(getattr(model, "_orig_mod", model)).eval()
    leaf = inputs.detach().requires_grad_()
    classes = target_classes(model, leaf, target)
    with torch.enable_grad(), uncompiled(), _suppress_captum_warnings():
        relevance: Tensor = build(attr, model).attribute(leaf, target=classes, **options)
    return relevance.detach()


def weight_sharing_copy(model: nn.Module) -> nn.Module:
    """Copy the modules of a model, but not the memory of its parameters and buffers.

    The copy's parameters require no gradient. Writing to them (Captum's LRP writes each back to
    itself) does not disturb a backward pass of the model that is under way.
    """
    tensors: dict[int, Any] = {id(buffer): buffer.data for buffer in model.buffers()}
    for parameter in model.parameters():
        # Not detach(), which would share the version counter by which autograd detects writes.
        tensors[id(parameter)] = nn.Parameter(parameter.data, requires_grad=False)
    return copy.deepcopy(model, tensors)


def points_per_pass(inputs: Float[Tensor, "batch channel *grid"]) -> int:
    """Return at how many points per sample one forward pass may evaluate a model."""
    return max(1, ROWS_PER_PASS // max(1, len(inputs)))


@contextmanager
def _suppress_captum_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        for announcement in _CAPTUM_WARNINGS:
            warnings.filterwarnings("ignore", announcement, UserWarning)
        yield


# Operations that only move values, which every attribution supports.
RESHAPING = frozenset((
    "alias", "cat", "clone", "constant_pad_nd", "copy_", "detach", "dropout", "expand", "flatten",
    "permute", "reshape", "select", "slice", "split", "squeeze", "stack", "t", "transpose",
    "unsqueeze", "view", "_reshape_alias", "_to_copy", "_unsafe_view",
))  # fmt: skip

RELU_OPS = frozenset(["relu", "relu_", "clamp", "clamp_", "clamp_min", "clamp_min_", "threshold"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrace:
    """Calls of one forward pass.

    Attributes:
        layers: Modules without children, by dotted name.
        counts: Number of calls of each of them.
        functional_ops: Operations outside of all of them, by torch's name, sorted.
    """

    layers: Mapping[str, nn.Module]
    counts: Mapping[str, int]
    functional_ops: tuple[str, ...]


def trace_calls(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> CallTrace:
    """Run a copy of a model once in eval mode and return its calls."""
    model = weight_sharing_copy(model).eval()
    layers = {name: m for name, m in model.named_modules() if name and not any(m.children())}
    recorder = _CallRecorder()
    for name, layer in layers.items():
        layer.register_forward_pre_hook(recorder.enter_module(name))
        layer.register_forward_hook(recorder.exit_module, always_call=True)
    with torch.no_grad(), recorder:
        model(inputs)
    return CallTrace(
        layers=layers,
        counts=recorder.counts,
        functional_ops=tuple(sorted(recorder.functional_ops)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedModels:
    """Models that an attribution of Captum explains rightly.

    Attributes:
        module_types: Types of all modules without children, None for any; a subclass is another
            type, as it is to Captum.
        called_once: Types of modules that may be called once only.
        functional_ops: Operations that may run outside of modules, None for any.
        refused_ops: Operations that may not.
    """

    module_types: tuple[type[nn.Module], ...] | None = None
    called_once: tuple[type[nn.Module], ...] = ()
    functional_ops: frozenset[str] | None = None
    refused_ops: frozenset[str] = frozenset()

    def check(
        self, attribution: str, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]
    ) -> None:
        """Raise a ConfigError that names the first unsupported module or operation, if any."""
        reason = next(self._reasons(trace_calls(model, inputs)), None)
        if reason is not None:
            # Which others explain it is looked at only here; that module needs this one.
            from trainables.attribution.network_check import refuse

            refuse(attribution, reason, model, inputs)

    def _reasons(self, calls: CallTrace) -> Iterator[str]:
        for name, layer in calls.layers.items():
            if self.module_types is not None and type(layer) not in self.module_types:
                yield f"Captum has no rule for module {name!r}, {type_with_article(layer)}"
        for name, count in calls.counts.items():
            layer = calls.layers[name]
            if count > 1 and isinstance(layer, self.called_once):
                called = f"module {name!r}, {type_with_article(layer)}, is called {count} times"
                yield f"{called}, and Captum keeps one call of each"
        for operation in calls.functional_ops:
            known = self.functional_ops is None or operation in self.functional_ops
            if not known or operation in self.refused_ops:
                yield f"it computes {operation!r} outside of a module"


def type_with_article(layer: nn.Module) -> str:
    """Return the type of a layer with its article: ``an Embedding``."""
    kind = type(layer).__name__
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


class _CallRecorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()
        self.functional_ops: set[str] = set()
        self._depth = 0

    def enter_module(self, name: str) -> Any:  # noqa: ANN401 (a hook of torch)
        def enter(_layer: nn.Module, _inputs: object) -> None:
            self._depth += 1
            self.counts[name] += 1

        return enter

    def exit_module(self, _layer: nn.Module, _inputs: object, _output: object) -> None:
        self._depth -= 1

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if self._depth == 0:
            self.functional_ops.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))
