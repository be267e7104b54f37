"""The fully convolutional network of Wang et al. for series, with the ECG benchmark's head."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Symbol
from trainables.models.initialization import initialize, scale_channels
from trainables.models.model import Network

_CHANNELS, _KERNELS, _HIDDEN = (128, 256, 128), (8, 5, 3), 128
_MIN_LENGTH = 2  # a kernel of even length takes one position away


@record
class FcnWang(Network):
    """Three convolutions over time, maximum and mean of each channel, and two linear layers.

    The paper's model for PTB-XL, as in its benchmark (``fcn_wang``).

    Attributes:
        batch_norm: Whether there is a batch norm after every convolution and before both layers
            of the head; on in the benchmark.
        dropout: Drop probability before the last layer, 0.5 in the benchmark; half of it before
            the layer above.

    References:
        Wang et al., IJCNN 2017, arXiv:1611.06455; Strodthoff et al., IEEE J-BHI 2021,
        arXiv:2004.13701.
    """

    name: ClassVar[str] = "fcn_wang"
    batch_norm: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1), Symbol("dropout", "Drop probability")] = 0.5

    def build(self, info: DatasetInfo, generator: torch.Generator) -> Fcn:
        """Return a freshly initialized network.

        Args:
            info: Shape of the inputs and number of classes.
            generator: Source of the initial weights, on the CPU.

        Raises:
            ConfigError: If the samples are no series.
        """
        if info.domain != "series" or info.input_shape[-1] < _MIN_LENGTH:
            raise ConfigError(
                f"fcn_wang takes series of at least {_MIN_LENGTH} points in time, but the dataset "
                f"gives samples of domain {info.domain!r} and shape {info.input_shape}; choose "
                "another model."
            )
        # New layers draw torch's default weights from the global generator.
        with torch.random.fork_rng(devices=[]):
            model = Fcn(self, info)
        initialize(model, self.initialization, generator)
        return model


class Fcn(nn.Module):
    """Convolutions over time, pooling over all of it, and a head of two linear layers.

    A convolution and its batch norm are adjacent in one ``nn.Sequential``, so that ε-LRP treats
    them as one layer. The head's batch norms precede linear layers: ε-LRP treats each as a layer
    of its own.
    """

    def __init__(self, settings: FcnWang, info: DatasetInfo) -> None:
        """Create the layers with torch's default weights."""
        super().__init__()
        channels = [info.input_shape[0], *(scale_channels(n, settings.width) for n in _CHANNELS)]
        self.features = nn.Sequential(*_convolutions(channels, settings.batch_norm))
        self.max_pool = nn.AdaptiveMaxPool1d(1)
        self.avg_pool = nn.AdaptiveAvgPool1d(1)
        hidden = scale_channels(_HIDDEN, settings.width)
        self.head = nn.Sequential(
            *_regularized(2 * channels[-1], settings.batch_norm, settings.dropout / 2),
            nn.Linear(2 * channels[-1], hidden),
            nn.ReLU(),
            *_regularized(hidden, settings.batch_norm, settings.dropout),
            nn.Linear(hidden, info.n_classes),
        )

    def forward(
        self, inputs: Float[Tensor, "batch channel time"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        features = self.features(inputs)
        pooled = torch.cat([self.max_pool(features), self.avg_pool(features)], dim=1)
        return self.head(pooled.flatten(1))  # type: ignore[no-any-return]


class HeadNorm(nn.BatchNorm1d):
    """Batch norm that normalizes a training batch of one sample as in eval mode.

    The last batch of an epoch may have one sample, which has no variance: torch's batch norm
    raises an error for it.
    """

    def forward(self, inputs: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Normalize."""
        if self.training and len(inputs) == 1:
            return functional.batch_norm(
                inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(inputs)


def _convolutions(channels: list[int], batch_norm: bool) -> Iterator[nn.Module]:
    for (inputs, outputs), kernel in zip(itertools.pairwise(channels), _KERNELS, strict=True):
        # A batch norm cancels a bias.
        yield nn.Conv1d(inputs, outputs, kernel, padding=(kernel - 1) // 2, bias=not batch_norm)
        if batch_norm:
            yield nn.BatchNorm1d(outputs)
        yield nn.ReLU()


def _regularized(features: int, batch_norm: bool, dropout: float) -> Iterator[nn.Module]:
    if batch_norm:
        yield HeadNorm(features)
    if dropout:
        yield nn.Dropout(dropout)
