"""The ε of ε-LRP inside autograd: a gradient at a layer's output z is scaled by |z| / (|z| + ε).

Both functions are identities forwards. They work where the layers run inside ``torch.func.vmap``
and ordinary autograd around it, which hooks on tensors do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

EpsilonMode: TypeAlias = Literal["absolute", "relative"]

# What is added to |z|: a number, or one per sample, of the shape (batch, 1, …).
Stabilizer: TypeAlias = Tensor | float

# Elements scaled at a time on a CPU, 1 MB in single precision: intermediate results stay in the
# cache, where passes over whole layers go to memory, and each to new pages.
_CHUNK_ELEMENTS = 2**18


def stabilizer_for(
    outputs: Float[Tensor, "batch first *rest"], epsilon: float, mode: EpsilonMode
) -> Stabilizer:
    """Return what is added to |z| for an ε, absolute or relative to each sample's z.

    It is never 0, not even where ε is so small that this precision rounds it to 0 or where a
    layer is silent: 0 / 0 would be NaN, and a z of 0 carries no relevance.

    Args:
        outputs: z.
        epsilon: ε > 0, in units of z if ``absolute``, as a fraction of the root mean square of z
            over the sample if ``relative``.
        mode: Meaning of ``epsilon``.
    """
    least = torch.finfo(outputs.dtype).tiny
    if mode == "absolute":
        return max(epsilon, least)
    mean_square = outputs.detach().flatten(1).square().mean(1)
    stabilizer = (epsilon * mean_square.sqrt()).clamp_min(least)
    return stabilizer.reshape(-1, *[1] * (outputs.ndim - 1))


class EpsilonRule(torch.autograd.Function):
    """Identity on a layer's outputs z whose backward pass scales by |z| / (|z| + ε)."""

    @staticmethod
    def forward(outputs: Tensor, stabilizer: Stabilizer, is_copied: bool) -> Tensor:
        """Return the outputs, as a copy where the network overwrites them."""
        del stabilizer
        return outputs.clone() if is_copied else outputs.view_as(outputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
        """Save z and the stabilizer."""
        del output
        outputs, stabilizer, _ = inputs
        _save_tensors(ctx, outputs, stabilizer)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        """Scale the gradient."""
        return scale_gradient(gradient, *_saved_tensors(ctx)), None, None

    @staticmethod
    def vmap(
        _info: Any,  # noqa: ANN401 (torch's)
        in_dims: tuple[int | None, ...],
        outputs: Tensor,
        stabilizer: Stabilizer,
        is_copied: bool,
    ) -> tuple[Tensor, int]:
        """Apply the rule to outputs stacked along any dimension, in one pass."""
        dim = _stacked_dim(in_dims)
        stabilizer = _move_stacked_dim(stabilizer, in_dims[1], dim)
        return EpsilonRule.apply(outputs, stabilizer, is_copied), dim


class EpsilonRuleReLU(torch.autograd.Function):
    """ReLU after a layer with the ε rule: one backward pass scales the gradient for both.

    Where z > 0 it is scaled by z / (z + ε), elsewhere it becomes 0; both are a / (a + ε) for
    a = max(z, 0). This costs little more than the ReLU alone would, and z need not be kept.
    """

    @staticmethod
    def forward(outputs: Tensor, active: Tensor, stabilizer: Stabilizer) -> Tensor:
        """Return the ReLU of the outputs, which is given."""
        del outputs, stabilizer
        return active.view_as(active)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
        """Save the ReLU's result and the stabilizer."""
        del output
        _, active, stabilizer = inputs
        _save_tensors(ctx, active, stabilizer)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        """Scale the gradient."""
        return scale_gradient(gradient, *_saved_tensors(ctx), is_positive=True), None, None

    @staticmethod
    def vmap(
        _info: Any,  # noqa: ANN401 (torch's)
        in_dims: tuple[int | None, ...],
        outputs: Tensor,
        active: Tensor,
        stabilizer: Stabilizer,
    ) -> tuple[Tensor, int]:
        """Apply the rule to outputs stacked along any dimension, in one pass."""
        dim = _stacked_dim(in_dims)
        active = _move_stacked_dim(active, in_dims[1], dim)
        stabilizer = _move_stacked_dim(stabilizer, in_dims[2], dim)
        return EpsilonRuleReLU.apply(outputs, active, stabilizer), dim


def scale_gradient(
    gradient: Float[Tensor, "batch first *rest"],
    outputs: Float[Tensor, "batch first *rest"],
    stabilizer: Stabilizer,
    *,
    is_positive: bool = False,
) -> Float[Tensor, "batch first *rest"]:
    """Scale a gradient by |z| / (|z| + stabilizer).

    Reads both once and writes the result once, which is the only memory that it allocates, as
    the backward pass of a ReLU does; for z that may be negative a few samples' worth more.

    Args:
        gradient: Gradient at z; not changed, since other branches of the graph may share it.
        outputs: z.
        stabilizer: Above 0.
        is_positive: Whether z is known to have no negative values.
    """
    result = torch.empty_like(outputs)
    for part in chunks(outputs):
        scaled, here = result[part], outputs[part]
        magnitude = here if is_positive else here.abs()
        added = stabilizer[part] if isinstance(stabilizer, Tensor) else stabilizer
        torch.add(magnitude, added, out=scaled)
        torch.div(magnitude, scaled, out=scaled)
        scaled.mul_(gradient[part])
    return result


def chunks(outputs: Tensor) -> Iterator[slice]:
    """Return slices of samples that fit into a CPU's cache; one for all on other devices."""
    samples, per_sample = len(outputs), outputs[:1].numel()
    # Other devices have no such cache, and every further call costs them a launch.
    fitting = _CHUNK_ELEMENTS // max(1, per_sample)
    step = max(1, fitting if outputs.device.type == "cpu" else samples)
    return (slice(start, start + step) for start in range(0, samples, step))


def _save_tensors(ctx: Any, outputs: Tensor, stabilizer: Stabilizer) -> None:  # noqa: ANN401
    is_tensor = isinstance(stabilizer, Tensor)
    ctx.number = None if is_tensor else stabilizer
    ctx.save_for_backward(outputs, stabilizer if is_tensor else None)


def _saved_tensors(ctx: Any) -> tuple[Tensor, Stabilizer]:  # noqa: ANN401
    outputs, stabilizer = ctx.saved_tensors
    return outputs, ctx.number if stabilizer is None else stabilizer


def _stacked_dim(in_dims: tuple[int | None, ...]) -> int:
    # What follows from a layer's outputs is stacked only where these are.
    assert in_dims[0] is not None
    return in_dims[0]


def _move_stacked_dim(operand: Any, source: int | None, dim: int) -> Any:  # noqa: ANN401
    """Move the dimension along which vmap has stacked a tensor."""
    return operand if source is None else operand.movedim(source, dim)
