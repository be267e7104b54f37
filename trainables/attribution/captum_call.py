"""How Captum is called: on a copy of the modules, so that the trained model never notices.

Captum switches modes off and on, hangs hooks, rules and stored activations on modules and leaves
some of them there. A twin, whose modules are new and whose weights are the model's own memory,
takes all of that.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.target import Target, choose

# From captum.attr and a model, make one of Captum's attributions.
Build: TypeAlias = Callable[[ModuleType, nn.Module], Any]

# Rows of a forward pass in which Captum takes several points per sample; bounds memory.
ROWS_PER_PASS = 256

# What Captum announces at every call, each of which a twin makes harmless.
_ANNOUNCEMENTS = (
    r"Input Tensor \d+ did not already require gradients",
    r"Setting forward, backward hooks and attributes on non-linear",
    r"Setting backward hooks on ReLU activations",
)


def captum_call(
    build: Build,
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    **options: object,
) -> Float[Tensor, "batch channel *grid"]:
    """Attribute with one of Captum's classes, in eval mode, without a trace on the model.

    Costs what Captum costs, and one forward pass more if ``target`` is a function.

    Args:
        build: Makes Captum's attribution of ``captum.attr`` and a model.
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        options: What Captum's ``attribute`` takes beside the inputs and the target.

    Returns:
        What Captum gives, detached.
    """
    from captum import attr  # slow to import, and most trials do without

    model = twin(model).eval()
    leaf = inputs.detach().requires_grad_()
    classes = choose(target, _logits(model, leaf)) if callable(target) else target
    with torch.enable_grad(), _without_announcements():
        relevance: Tensor = build(attr, model).attribute(leaf, target=classes, **options)
    return relevance.detach()


def twin(model: nn.Module) -> nn.Module:
    """Copy the modules of a model, but not the memory of its parameters and buffers.

    The twin's parameters ask for no gradient. Writing to them (Captum's LRP writes every one back
    to itself) does not disturb a backward pass of the model that is under way.
    """
    tensors: dict[int, Any] = {id(buffer): buffer.data for buffer in model.buffers()}
    for parameter in model.parameters():
        # Not detach(), which would share the counter by which autograd notices a write.
        tensors[id(parameter)] = nn.Parameter(parameter.data, requires_grad=False)
    return copy.deepcopy(model, tensors)


def points_per_pass(inputs: Float[Tensor, "batch channel *grid"]) -> int:
    """Say at how many points per sample one forward pass may evaluate a model."""
    return max(1, ROWS_PER_PASS // max(1, len(inputs)))


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(inputs)
        return logits


@contextmanager
def _without_announcements() -> Iterator[None]:
    with warnings.catch_warnings():
        for announcement in _ANNOUNCEMENTS:
            warnings.filterwarnings("ignore", announcement, UserWarning)
        yield
