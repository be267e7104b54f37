"""What a training step has to compute, counted from the layers alone: the limit of its time.

A linear layer multiplies as often for its outputs as for the gradient of its weights and for
that of its inputs. Everything else (activations, pools, the optimiser, the choice of features)
is left out of the count, so that a step at the limit does all of that in no time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.attribution.target import evaluation_mode

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Multiplications per sample in the linear layers of a network.

    Attributes:
        forward: Of a forward pass.
        weight_gradients: Of the part of a backward pass that gives the weights' gradients.
        inner_gradients: Of the part that leads back from layer to layer, as far as weights lie.
        outer_gradients: Of the part that leads from the first layer on to the inputs, which a
            plain step leaves out: data, and frozen embeddings, need no gradient.
    """

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
    """What a step takes beside the plain one, in passes of one sample.

    Attributes:
        explained: Forward passes, each with a backward pass that leads to the inputs alone.
        trained: Forward passes through which the step's backward pass runs as well.
    """

    explained: int = 0
    trained: int = 0


def count_operations(model: nn.Module, input_shape: tuple[int, ...]) -> Operations:
    """Count the multiplications of a network's linear layers.

    Costs a forward pass over one sample of zeros, which tells how large each layer's grid is.
    The model is in eval mode then, and left as it was.

    Args:
        model: Network of linear and convolutional layers, and others that do not count.
        input_shape: Shape of one sample.
    """
    counts: list[tuple[int, bool]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append((_multiplications(layer, output), inputs[0].requires_grad))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, _LINEAR)]
    sample = torch.zeros(1, *input_shape, device=next(model.parameters()).device)
    try:
        with evaluation_mode(model), torch.enable_grad():
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
    """Count the multiplications of one training step.

    Args:
        operations: What the network takes per sample.
        passes: What the method adds to a plain step.
        batch_size: Samples that are trained on.
    """
    trained = (batch_size + passes.trained) * operations.trained
    return trained + passes.explained * operations.explained


def counted_ratio(operations: Operations, passes: Passes, batch_size: int) -> float:
    """Give how many times a plain step a method's step is at least, if multiplying is all.

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
