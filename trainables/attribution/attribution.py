"""The base class of attributions, and the target class that they explain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from trainables.decoding import record

# A class per sample, or a function from the logits (batch, n_classes) to a class per sample,
# which needs no forward pass of its own.
Target: TypeAlias = Tensor | Callable[[Tensor], Tensor]


@record
class Attribution(ABC):
    """An attribution of class scores to input features, as settings."""

    name: ClassVar[str]

    def check(  # noqa: B027 (an attribution may accept every model)
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]
    ) -> None:
        """Accept every differentiable model.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If the model cannot be explained.
        """

    @abstractmethod
    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute the class score ``target`` of each sample to its input features."""
