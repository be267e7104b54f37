"""The base classes of models and of this package's networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn

from trainables.datasets import DatasetInfo
from trainables.datasets.user_paths import UserPath
from trainables.decoding import record
from trainables.fields import Symbol
from trainables.models.initialization import Initialization
from trainables.models.weights import file_digest


@record
class Model(ABC):
    """A network as settings."""

    name: ClassVar[str]

    @property
    def description(self) -> str:
        """Name of the model in results, with its size."""
        return self.name

    @property
    def content(self) -> str | None:
        """Digest of the files that the network depends on beside its settings, if any."""
        return None

    @abstractmethod
    def build(self, info: DatasetInfo, generator: torch.Generator) -> nn.Module:
        """Return a freshly initialized network.

        Args:
            info: Shape of the inputs and number of classes.
            generator: Source of the initial weights, on the CPU.

        Raises:
            ConfigError: If the network cannot take such samples.
        """


@record
class Pretrained(Model):
    """Settings of networks that may start from the weights of a file.

    Attributes:
        weights: File of pretrained weights, relative to the study file, or null.
    """

    weights: UserPath | None = None

    @property
    def content(self) -> str | None:
        """SHA-256 of the file of weights."""
        return None if self.weights is None else file_digest(self.weights)


@record
class Network(Model):
    """Settings of this package's networks.

    Attributes:
        width: Factor on every number of channels and hidden units; 1 is the published network.
        initialization: ``kaiming`` draws weights from the normal distribution of He et al.
            (fan in) and sets biases to 0; ``torch`` is torch's default.
        batch_norm: Whether a batch norm follows every convolution.
        dropout: Drop probability before the last layer.
    """

    width: Annotated[float, Field(ge=1 / 64, le=16), Symbol("width", "Width of the network")] = 1.0
    initialization: Initialization = "kaiming"
    batch_norm: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1), Symbol("dropout", "Drop probability")] = 0.0

    @property
    def description(self) -> str:
        """Name of the model in results, with its width."""
        return f"{self.name}, width {self.width:g}"
