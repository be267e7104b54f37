"""Labels of a batch as a method meets them: one class per sample, or a number per class."""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from trainables.attribution.target import Target

# A class index per sample; or, where a sample may have several classes, 0 or 1 per class.
Labels: TypeAlias = Int[Tensor, " batch"] | Float[Tensor, "batch classes"]


def is_multi_label(labels: Labels) -> bool:
    """Tell whether a sample may have several classes: its labels are then real numbers."""
    return labels.is_floating_point()


def label_loss(logits: Float[Tensor, "batch classes"], labels: Labels) -> Float[Tensor, ""]:
    """Sum over the samples what training minimises: cross entropy, per label if multi-label.

    A sum, so that the gradient by one sample's inputs does not depend on the batch's size.
    """
    if is_multi_label(labels):
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return functional.cross_entropy(logits, labels, reduction="sum")


def true_class(labels: Labels) -> Target:
    """Give the class that an attribution of the label explains.

    Returns:
        The label itself; for multi-label data a function that takes, from the logits, the
        highest-ranked of the sample's classes (the highest-ranked of all if it has none).
    """
    if not is_multi_label(labels):
        return labels

    def choose(logits: Tensor) -> Tensor:
        # Other classes are put below every logit, yet keep their order among themselves.
        reach = logits.amax(1, keepdim=True) - logits.amin(1, keepdim=True) + 1
        return (logits - (1 - labels) * reach).argmax(1)

    return choose


def soft_labels(
    labels: Labels, n_classes: int, dtype: torch.dtype
) -> Float[Tensor, "batch classes"]:
    """Write labels as numbers per class: one-hot probabilities, or multi-labels as they are."""
    if is_multi_label(labels):
        return labels
    # torch's one_hot asks the device for the largest label before it begins.
    classes = torch.arange(n_classes, device=labels.device)
    return (labels[:, None] == classes).to(dtype)
