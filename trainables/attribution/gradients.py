"""Plain gradient attributions, and the target class and eval mode of all attributions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.attribution.attribution import Attribution, Target
from trainables.decoding import record


def resolve_target(
    target: Target, logits: Float[Tensor, "batch classes"]
) -> Int[Tensor, " batch"]:
    """Return the class to explain for each sample."""
    return target if isinstance(target, Tensor) else target(logits.detach())


def target_classes(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Int[Tensor, " batch"]:
    """Return the class of each sample, by a forward pass in eval mode if it needs one."""
    if isinstance(target, Tensor):
        return target
    with eval_mode(model), torch.no_grad():
        return resolve_target(target, model(inputs))


def input_gradient(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Return the detached gradient of one logit per sample by the inputs, in one backward pass.

    Parameters get no gradient.
    """
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        logits = model(leaf)
        score = logits.gather(1, resolve_target(target, logits)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, leaf)
    return gradient.detach()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Set every module to eval mode and restore each module's own mode."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def uncompiled() -> AbstractContextManager[None]:
    """Run compiled networks and functions as they were written, so that hooks on layers count."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()  # nothing is compiled, and the import takes seconds
    eager: AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return eager


class InTrainMode(nn.Module):
    """A network in train mode for attributions, which would otherwise set it to eval mode.

    Dropout draws, and a batch norm normalizes by the batch of the attribution, so that a sample's
    attribution depends on the others'. The batch norm's running statistics are left untouched.
    """

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that is in train mode."""
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> InTrainMode:  # noqa: ARG002 (the interface of all modules)
        """Leave the mode of the network as it is."""
        return self

    def forward(
        self, inputs: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits, with no change of running statistics."""
        # Without tracking, a batch norm in train mode neither reads nor writes them.
        tracking = [
            module
            for module in self.network.modules()
            if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
        ]
        for module in tracking:
            module.track_running_stats = False
        try:
            logits: Tensor = self.network(inputs)
            return logits
        finally:
            for module in tracking:
                module.track_running_stats = True


def saliency(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Return the magnitude of the chosen logit's gradient at each input feature.

    Never negative: a large value means that the feature matters, for or against the class. A
    feature of value 0 may have any saliency.

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
