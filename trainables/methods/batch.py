"""What a method gives back: the batch on which the step is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step.

    Attributes:
        inputs: Samples, changed or not.
        targets: Class index per sample, or a probability per class and sample.
        extra_loss: What is added to the cross entropy, as a function of the model and of the
            logits of ``inputs``; None for nothing.
        measures: Scalars on the device that a report averages over its steps, by name:
            ``drop_rate`` becomes ``train/drop_rate``. The same names for every batch.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Int[Tensor, " batch"] | Float[Tensor, "batch classes"]
    extra_loss: Callable[[nn.Module, Tensor], Tensor] | None = None
    measures: Mapping[str, Tensor] = field(default_factory=dict)
