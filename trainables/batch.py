"""Batches and their labels: what a dataset gives to training and what a method makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from trainables.attribution.gradients import Target

# A class index per sample; or, where a sample may have several classes, 0 or 1 per class.
Labels: TypeAlias = Int[Tensor, " batch"] | Float[Tensor, "batch classes"]


def is_multi_label(labels: Labels) -> bool:
    """Tell whether a sample may have several classes: its labels are then real numbers."""
    return labels.is_floating_point()


def label_loss(logits: Float[Tensor, "batch classes"], labels: Labels) -> Float[Tensor, ""]:
    """Sum over the samples what training minimizes: cross entropy, per label if multi-label.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step, of one replica or of several.

    A joint batch holds the samples of its replicas by turns (see :mod:`trainables.replica_rng`): row
    i·R + r is the i-th sample of the r-th of R replicas.

    Attributes:
        inputs: Samples, changed or not.
        targets: Class index per sample, or a number per class and sample: 0 or 1 for multi-label
            data, probabilities where a method has mixed samples.
        occupied: Positions of the grid that hold anything; the others are padding, which no
            method may choose or change. None if all do.
        n_replicas: R, whose samples these are.
        extra_loss: What is added to each sample's cross entropy, as a function of the model and
            of the logits of ``inputs``; None for nothing.
        measures: Numbers on the device, one per replica, that a report averages over its steps,
            by name: ``drop_rate`` becomes ``train/drop_rate``. The same names for every batch.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Labels
    valid_mask: Bool[Tensor, "batch first *rest"] | None = None
    n_replicas: int = 1
    extra_loss: Callable[[nn.Module, Tensor], Float[Tensor, " batch"]] | None = None
    train_metrics: Mapping[str, Float[Tensor, " replica"]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the samples of all replicas."""
        return len(self.targets)

    @property
    def feature_mask(self) -> Bool[Tensor, "batch feature"] | None:
        """Flattened features that hold anything, or None if all do."""
        if self.valid_mask is None:
            return None
        return self.valid_mask[:, None].expand(self.inputs.shape).flatten(1)

    def first(self, count: int) -> Batch:
        """Give the first samples, without extra loss and measures."""
        valid_mask = None if self.valid_mask is None else self.valid_mask[:count]
        return Batch(
            inputs=self.inputs[:count],
            targets=self.targets[:count],
            valid_mask=valid_mask,
            n_replicas=self.n_replicas,
        )

    def split_by_replica(self, values: Tensor) -> Tensor:
        """Turn a value per sample, ``(batch, *)``, into ``(batch / R, R, *)``."""
        return values.reshape(-1, self.n_replicas, *values.shape[1:])

    def repeat_per_sample(self, values: Tensor) -> Tensor:
        """Repeat a value per replica, ``(R, *)``, for each of its samples: ``(batch, *)``."""
        return values.repeat(len(self) // self.n_replicas, *[1] * (values.ndim - 1))


def interleave(batches: Sequence[Batch]) -> Batch:
    """Lay the batches of several replicas, all of one size and unchanged, into one."""
    if len(batches) == 1:
        return batches[0]
    valid_mask = [batch.valid_mask for batch in batches if batch.valid_mask is not None]
    return Batch(
        inputs=_interleave([batch.inputs for batch in batches]),
        targets=_interleave([batch.targets for batch in batches]),
        valid_mask=_interleave(valid_mask) if valid_mask else None,
        n_replicas=len(batches),
    )


def _interleave(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts), dim=1).flatten(0, 1)
