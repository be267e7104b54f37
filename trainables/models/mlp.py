"""A multilayer perceptron for data of any shape."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.fields import Count
from trainables.models.initialization import initialize, scale_channels
from trainables.models.model import Network


@record
class Mlp(Network):
    """Linear layers with ReLU over the flattened inputs.

    Attributes:
        hidden: Units of each hidden layer, before the width is applied.
        batch_norm: Whether a batch norm follows every hidden layer.
        dropout: Drop probability after every hidden layer.
    """

    name: ClassVar[str] = "mlp"
    hidden: Annotated[tuple[Count, ...], Field(min_length=1, max_length=100)] = (256, 256)

    def build(self, info: DatasetInfo, generator: torch.Generator) -> Perceptron:
        """Return a freshly initialized network; see :meth:`Model.build`."""
        # New layers draw torch's default weights from the global generator.
        with torch.random.fork_rng(devices=[]):
            model = Perceptron(self, info)
        initialize(model, self.initialization, generator)
        return model


class Perceptron(nn.Module):
    """Hidden layers, each linear, batch norm, ReLU and dropout, and a last linear layer."""

    def __init__(self, settings: Mlp, info: DatasetInfo) -> None:
        """Create the layers with torch's default weights."""
        super().__init__()
        hidden = [scale_channels(units, settings.width) for units in settings.hidden]
        self.features = nn.Sequential(*_layers([info.n_features, *hidden], settings))
        self.classifier = nn.Linear(hidden[-1], info.n_classes)

    def forward(
        self, inputs: Float[Tensor, "batch channel *grid"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        return self.classifier(self.features(inputs.flatten(1)))  # type: ignore[no-any-return]


def _layers(units: list[int], settings: Mlp) -> Iterator[nn.Module]:
    for inputs, outputs in itertools.pairwise(units):
        yield nn.Linear(inputs, outputs)
        if settings.batch_norm:
            yield nn.BatchNorm1d(outputs)
        yield nn.ReLU()
        if settings.dropout:
            yield nn.Dropout(settings.dropout)
