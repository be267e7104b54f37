"""What all gradient attributions share: choosing the class and asking for its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

# A class per sample, or a function from the logits (batch, n_classes) to a class per sample:
# with the latter the forward pass that ranks the classes is also the one that is explained.
Target: TypeAlias = Tensor | Callable[[Tensor], Tensor]


def choose(target: Target, logits: Float[Tensor, "batch classes"]) -> Int[Tensor, " batch"]:
    """Give the class to explain for each sample."""
    return target if isinstance(target, Tensor) else target(logits.detach())


def input_gradient(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Differentiate one class score per sample by the inputs; parameters get no gradient.

    Costs one forward and one input-only backward pass.

    Returns:
        Gradient of the chosen logit, detached.
    """
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        logits = model(leaf)
        score = logits.gather(1, choose(target, logits)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, leaf)
    return gradient.detach()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and give each its own mode back at the end."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
