"""Plain gradient attributions, and the target class and eval mode that all attributions share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.attribution.attribution import Attribution
from trainables.decoding import record

# A class per sample, or a function from the logits (batch, n_classes) to a class per sample:
# with the latter the forward pass that ranks the classes is also the one that is explained.
Target: TypeAlias = Tensor | Callable[[Tensor], Tensor]


def resolve_target(
    target: Target, logits: Float[Tensor, "batch classes"]
) -> Int[Tensor, " batch"]:
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
        score = logits.gather(1, resolve_target(target, logits)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, leaf)
    return gradient.detach()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and give each its own mode back at the end."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def saliency(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Give the magnitude of the chosen logit's gradient at each input feature.

    Never negative: a large value says that the feature matters, not whether it speaks for or
    against the class. A feature of value 0 may have any saliency.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Unsigned sensitivities in logit units per input unit, detached.

    References:
        Simonyan, Vedaldi and Zisserman, arXiv:1312.6034, section 3.1.
    """
    with eval_mode(model):
        return input_gradient(model, inputs, target).abs()


@record
class Saliency(Attribution):
    """Saliency as a setting."""

    name: ClassVar[str] = "saliency"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`saliency`."""
        return saliency(model, inputs, target)


def input_x_gradient(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Multiply each input feature by the gradient of the chosen logit.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Ancona et al., ICLR 2018, section 2.1.
    """
    with eval_mode(model):
        gradient = input_gradient(model, inputs, target)
    return inputs.detach() * gradient


@record
class InputXGradient(Attribution):
    """Input × gradient as a setting."""

    name: ClassVar[str] = "input_x_gradient"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`input_x_gradient`."""
        return input_x_gradient(model, inputs, target)
