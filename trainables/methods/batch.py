"""What a method gives back: the batch on which the step is taken."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step.

    Attributes:
        inputs: Samples, changed or not.
        targets: Class index per sample, or a probability per class and sample.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Int[Tensor, " batch"] | Float[Tensor, "batch classes"]
