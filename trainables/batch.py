"""Batches and their labels, as datasets make them and methods change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from trainables.attribution.attribution import Target
from trainables.checks import require

# A class index per sample; or, where a sample may have several classes, 0 or 1 per class.
Labels: TypeAlias = Int[Tensor, " batch"] | Float[Tensor, "batch classes"]


def is_multi_label(labels: Labels) -> bool:
    """Return whether a sample may have several classes: its labels are then real numbers."""
    return labels.is_floating_point()


def label_loss(logits: Float[Tensor, "batch classes"], labels: Labels) -> Float[Tensor, ""]:
    """Return the training loss summed over samples: cross entropy, per label if multi-label.

    A sum, so that the gradient by one sample's inputs does not depend on the batch's size.
    """
    if is_multi_label(labels):
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return functional.cross_entropy(logits, labels, reduction="sum")


def true_class(labels: Labels) -> Target:
    """Return the class that an attribution of the label explains.

    That is the label itself; for multi-label data a function that returns, from the logits, the
    highest-ranked of the sample's classes (the highest-ranked of all if it has none).
    """
    if not is_multi_label(labels):
        return labels

    def choose(logits: Tensor) -> Tensor:
        # Shift other classes below every logit, in unchanged order among themselves.
        reach = logits.amax(1, keepdim=True) - logits.amin(1, keepdim=True) + 1
        return (logits - (1 - labels) * reach).argmax(1)

    return choose


def soft_labels(
    labels: Labels, n_classes: int, dtype: torch.dtype
) -> Float[Tensor, "batch classes"]:
    """Return labels as numbers per class: one-hot probabilities, or multi-labels unchanged."""
    if is_multi_label(labels):
        return labels
    # torch's one_hot waits for the largest label from the device.
    classes = torch.arange(n_classes, device=labels.device)
    return (labels[:, None] == classes).to(dtype)


def check_batch(inputs: Tensor, targets: Tensor, valid_mask: Tensor | None) -> None:
    """Check the kinds and shapes of a batch from a loop of a user's own.

    Raises:
        ConfigError: Naming the argument, what must hold and what came.
    """
    samples = len(inputs) if inputs.ndim else 0
    came = tuple(inputs.shape)
    require(inputs.ndim >= 2, "inputs", "must have the shape (batch, channel, *grid)", came)
    require(inputs.is_floating_point(), "inputs", "must be real numbers", inputs.dtype)
    came = tuple(targets.shape)
    if targets.is_floating_point():
        rule = f"of real numbers must have the shape ({samples}, n_classes)"
        require(targets.ndim == 2 and len(targets) == samples, "targets", rule, came)
    else:
        rule = (
            f"must be {samples} class indices (int64), or real numbers of the shape ({samples}, "
            "n_classes) where a sample may have several classes"
        )
        is_index = targets.dtype == torch.int64 and came == (samples,)
        require(is_index, "targets", rule, f"{targets.dtype} of the shape {came}")
    if valid_mask is not None:
        grid = (samples, *inputs.shape[2:])
        rule = f"must be booleans of the shape (batch, *grid), here {grid}"
        is_mask = valid_mask.dtype == torch.bool and tuple(valid_mask.shape) == grid
        came_mask = f"{valid_mask.dtype} of the shape {tuple(valid_mask.shape)}"
        require(is_mask and len(grid) > 1, "valid_mask", rule, came_mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step of one or several replicas.

    A joint batch interleaves the samples of its replicas (see :mod:`trainables.replica_rng`):
    row i·R + r is the i-th sample of the r-th of R replicas.

    Attributes:
        inputs: Samples, changed by the method or not.
        targets: Class index per sample, or a number per class and sample: 0 or 1 for multi-label
            data, probabilities of mixed samples.
        valid_mask: False at padding, which no method may choose or change. None if there is none.
        n_replicas: R, the number of replicas.
        extra_loss: Function of the model and of the logits of ``inputs`` to a summand of each
            sample's loss, or None.
        train_metrics: One number per replica on the device, by name, averaged over the steps of
            a report: ``drop_rate`` becomes ``train/drop_rate``. The same names in every batch.
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
        """``valid_mask`` of the flattened features."""
        if self.valid_mask is None:
            return None
        return self.valid_mask[:, None].expand(self.inputs.shape).flatten(1)

    def first(self, count: int) -> Batch:
        """Return the first samples, without extra loss and metrics."""
        return Batch(
            inputs=self.inputs[:count],
            targets=self.targets[:count],
            valid_mask=None if self.valid_mask is None else self.valid_mask[:count],
            n_replicas=self.n_replicas,
        )

    def split_by_replica(self, values: Tensor) -> Tensor:
        """Reshape a value per sample, ``(batch, *)``, to ``(batch / R, R, *)``."""
        return values.reshape(-1, self.n_replicas, *values.shape[1:])

    def repeat_per_sample(self, values: Tensor) -> Tensor:
        """Repeat a value per replica, ``(R, *)``, for each of its samples: ``(batch, *)``."""
        return values.repeat(len(self) // self.n_replicas, *[1] * (values.ndim - 1))


def interleave(batches: Sequence[Batch]) -> Batch:
    """Interleave the unchanged batches of several replicas, all of one size."""
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
