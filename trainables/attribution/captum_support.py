"""What Captum can explain: found by running a model once and watching what it calls.

Captum works on modules. What a model computes outside of a module, or in a module that it calls
twice, is explained wrongly and in silence by some of its attributions, and fails in others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.attribution.captum_call import twin
from trainables.errors import ConfigError

# Operations that only move values, which every attribution passes through.
RESHAPING = frozenset((
    "alias", "cat", "clone", "constant_pad_nd", "copy_", "detach", "dropout", "expand", "flatten",
    "permute", "reshape", "select", "slice", "split", "squeeze", "stack", "t", "transpose",
    "unsqueeze", "view", "_reshape_alias", "_to_copy", "_unsafe_view",
))  # fmt: skip

_RELUS = frozenset(["relu", "relu_", "clamp", "clamp_", "clamp_min", "clamp_min_", "threshold"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What one forward pass did.

    Attributes:
        layers: Modules without children, by dotted name.
        counts: Number of calls of each of them.
        loose: Operations outside of all of them, by torch's name, in alphabetical order.
    """

    layers: Mapping[str, nn.Module]
    counts: Mapping[str, int]
    loose: tuple[str, ...]


def watch(model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> Calls:
    """Run a model once in eval mode and say what it called; the model is left as it was."""
    model = twin(model).eval()
    layers = {name: m for name, m in model.named_modules() if name and not any(m.children())}
    watcher = _Watcher()
    for name, layer in layers.items():
        layer.register_forward_pre_hook(watcher.entry(name))
        layer.register_forward_hook(watcher.leave, always_call=True)
    with torch.no_grad(), watcher:
        model(inputs)
    return Calls(layers=layers, counts=watcher.counts, loose=tuple(sorted(watcher.loose)))


def refuse(attribution: str, reason: str) -> NoReturn:
    """Say why an attribution cannot explain a model, and which can.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        f"attribution {attribution} cannot explain this model: {reason}; use epsilon_lrp, "
        "input_x_gradient or integrated_gradients."
    )


def require_kinds(attribution: str, calls: Calls, kinds: tuple[type[nn.Module], ...]) -> None:
    """Refuse layers of other kinds; a subclass is another kind, as it is to Captum.

    Raises:
        ConfigError: If there is one.
    """
    for name, layer in calls.layers.items():
        if type(layer) not in kinds:
            refuse(attribution, f"Captum has no rule for module {name!r}, {_kind(layer)}")


def require_single_calls(attribution: str, calls: Calls, kinds: tuple[type[Any], ...]) -> None:
    """Refuse layers of some kinds that are called more than once.

    Raises:
        ConfigError: If there is one.
    """
    for name, count in calls.counts.items():
        if count > 1 and isinstance(calls.layers[name], kinds):
            called = f"module {name!r}, {_kind(calls.layers[name])}, is called {count} times"
            refuse(attribution, f"{called}, and Captum keeps one call of each")


def require_relu_modules(
    attribution: str, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]
) -> None:
    """Refuse a model whose ReLUs are not all modules that are called once.

    Raises:
        ConfigError: If one is no module, or is called more than once.
    """
    calls = watch(model, inputs)
    require_single_calls(attribution, calls, (nn.ReLU,))
    for operation in calls.loose:
        if operation in _RELUS:
            refuse(attribution, f"it computes {operation!r} outside of a module")


def _kind(layer: nn.Module) -> str:
    kind = type(layer).__name__
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


class _Watcher(TorchDispatchMode):
    # Its state is the one forward pass that it watches.
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()
        self.loose: set[str] = set()
        self._depth = 0

    def entry(self, name: str) -> Any:  # noqa: ANN401 (a hook of torch)
        def enter(_layer: nn.Module, _inputs: object) -> None:
            self._depth += 1
            self.counts[name] += 1

        return enter

    def leave(self, _layer: nn.Module, _inputs: object, _output: object) -> None:
        self._depth -= 1

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if self._depth == 0:
            self.loose.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))
