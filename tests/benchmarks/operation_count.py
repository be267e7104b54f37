"""The multiplications of a training step, counted from its linear layers and the method's passes.

A linear layer multiplies as often for its outputs as for the gradient of its weights and for
that of its inputs. Everything else (activations, pools, the optimizer, the choice of features)
is left out, so that the count is a lower limit of the step's time in any implementation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from trainables.attribution.gradients import eval_mode
from trainables.errors import ConfigError
from trainables.methods import Challenger, Fgsm, MethodConfig, Pgd
from trainables.methods.challenge import split_batch_size
from trainables.methods.fgsm import n_attacked

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Multiplications per sample in the linear layers of a network."""

    forward: int
    weight_gradients: int
    inner_gradients: int
    outer_gradients: int

    @property
    def trained(self) -> int:
        """Multiplications for a sample that is trained on: forward and backward."""
        return self.forward + self.weight_gradients + self.inner_gradients

    @property
    def explained(self) -> int:
        """Multiplications for a sample whose inputs get a gradient, and no weight does."""
        return self.forward + self.inner_gradients + self.outer_gradients


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Passes of one sample that a step adds to a plain one.

    Explained: forward and backward to the inputs alone; trained: forward, and in the step's own
    backward pass.
    """

    explained: int = 0
    trained: int = 0


def count_operations(model: nn.Module, input_shape: tuple[int, ...]) -> Operations:
    """Count the multiplications of a network's linear layers.

    Costs a forward pass over one sample of zeros, which tells how large each layer's grid is.
    The model is in eval mode then, and left as it was.
    """
    counts: list[tuple[int, bool]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append((_multiplications(layer, output), inputs[0].requires_grad))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, _LINEAR)]
    sample = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    try:
        with eval_mode(model), torch.enable_grad():
            model(sample)
    finally:
        for hook in hooks:
            hook.remove()
    forward = sum(count for count, _ in counts)
    inner = sum(count for count, is_inner in counts if is_inner)
    return Operations(
        forward=forward,
        weight_gradients=forward,
        inner_gradients=inner,
        outer_gradients=forward - inner,
    )


def count_step(operations: Operations, passes: Passes, batch_size: int) -> int:
    trained = (batch_size + passes.trained) * operations.trained
    return trained + passes.explained * operations.explained


def counted_ratio(operations: Operations, passes: Passes, batch_size: int) -> float:
    """Return the lower limit of a method's step as a multiple of a plain step.

    Example:
        >>> layers = Operations(
        ...     forward=4, weight_gradients=4, inner_gradients=3, outer_gradients=1
        ... )
        >>> round(counted_ratio(layers, Passes(explained=16), 32), 3)
        1.364
    """
    plain = count_step(operations, Passes(), batch_size)
    return count_step(operations, passes, batch_size) / plain


def _multiplications(layer: nn.Module, output: Tensor) -> int:
    # Each number of the output is a sum over what one row of the weights meets.
    assert isinstance(layer.weight, Tensor)
    return output.numel() * math.prod(layer.weight.shape[1:])


def passes_of(method: MethodConfig, batch_size: int) -> Passes:
    """Return the passes that a step of a method adds to a plain one."""
    count = _PASSES.get(method.name)
    if count is None:
        raise ConfigError(
            f"the passes of method {method.name!r} must be counted in "
            "tests/benchmarks/operation_count.py, which knows "
            f"{', '.join(sorted(_PASSES))}; add it."
        )
    return count(method, batch_size)


def _no_passes(_method: MethodConfig, _batch_size: int) -> Passes:
    return Passes()


def _challenge(method: Challenger, batch_size: int) -> Passes:
    parts = split_batch_size(batch_size, method.split, method.a_fraction)
    return Passes(explained=parts.challenged)


def _attack_once(method: Fgsm, batch_size: int) -> Passes:
    return Passes(explained=n_attacked(batch_size, method.split))


def _attack_in_steps(method: Pgd, batch_size: int) -> Passes:
    return Passes(explained=method.steps * n_attacked(batch_size, method.split))


def _explain_all(_method: MethodConfig, batch_size: int) -> Passes:
    return Passes(explained=batch_size)


def _explain_and_train_all(_method: MethodConfig, batch_size: int) -> Passes:
    return Passes(explained=batch_size, trained=batch_size)


# Each takes the settings of the method whose name it stands under.
_PASSES: Mapping[str, Callable[[Any, int], Passes]] = MappingProxyType(
    {
        "base": _no_passes,
        "base_finetune": _no_passes,
        "challenger": _challenge,
        "cutmix": _no_passes,
        "fgsm": _attack_once,
        "mixup": _no_passes,
        "pgd": _attack_in_steps,
        "random": _no_passes,
        "random_erasing": _no_passes,
        "reldrop": _explain_all,
        "saliency_guided": _explain_and_train_all,
    }
)
