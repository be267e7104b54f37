"""The small convolutional network of Keras' example for texts as word vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.models.initialization import initialize, scale_channels
from trainables.models.model import Network

_CHANNELS, _KERNEL, _POOL = 128, 5, 5
# From this length on the third convolution has an output.
_MIN_LENGTH = 149


@record
class TextCnn(Network):
    """Three convolutions over words and two linear layers: the paper's model for text.

    The paper states these layers and GloVe only; the rest is that of Keras' example
    ``pretrained_word_embeddings.py``, which has the same layers: kernels of 5 words, pools of 5,
    a global maximum at the end, ReLU, no dropout. The vectors are not part of the network.

    Attributes:
        batch_norm: Whether a batch norm follows every convolution; off in the example.
        dropout: Drop probability before the last layer; 0 in the example.
    """

    name: ClassVar[str] = "text_cnn"

    def build(self, info: DatasetInfo, generator: torch.Generator) -> TextNetwork:
        """Return a freshly initialized network.

        Args:
            info: Shape of the inputs and number of classes.
            generator: Source of the initial weights, on the CPU.

        Raises:
            ConfigError: If the samples are no texts, or too short for the pools.
        """
        if info.domain != "text":
            raise ConfigError(
                f"text_cnn takes texts as word vectors, but the dataset gives samples of domain "
                f"{info.domain!r} and shape {info.input_shape}; choose another model."
            )
        if info.input_shape[-1] < _MIN_LENGTH:
            raise ConfigError(
                f"text_cnn takes texts of at least {_MIN_LENGTH} words, but the dataset gives "
                f"{info.input_shape[-1]}; set its length to {_MIN_LENGTH} or more."
            )
        # New layers draw torch's default weights from the global generator.
        with torch.random.fork_rng(devices=[]):
            model = TextNetwork(self, info)
        initialize(model, self.initialization, generator)
        return model


class TextNetwork(nn.Module):
    """Conv-ReLU-pool twice, conv-ReLU-global maximum, then 128 → 128 → C (times the width).

    The maxima are pools, which pass relevance to one position, and not ``amax``, which splits it
    among ties. Flattening is functional and no activation is in place, so that attributions
    support the network.
    """

    def __init__(self, settings: TextCnn, info: DatasetInfo) -> None:
        """Create the layers with torch's default weights."""
        super().__init__()
        dimension, length = info.input_shape
        hidden = scale_channels(_CHANNELS, settings.width)
        self.features = nn.Sequential(
            *_block(dimension, hidden, settings.batch_norm),
            nn.MaxPool1d(_POOL),
            *_block(hidden, hidden, settings.batch_norm),
            nn.MaxPool1d(_POOL),
            *_block(hidden, hidden, settings.batch_norm),
            nn.MaxPool1d(_positions_left(length)),
        )
        self.classifier = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            *([nn.Dropout(settings.dropout)] if settings.dropout else []),
            nn.Linear(hidden, info.n_classes),
        )

    def forward(
        self, inputs: Float[Tensor, "batch dimension length"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        return self.classifier(self.features(inputs).flatten(1))  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int, batch_norm: bool) -> Iterator[nn.Module]:
    yield nn.Conv1d(inputs, outputs, _KERNEL)
    if batch_norm:
        yield nn.BatchNorm1d(outputs)
    yield nn.ReLU()


def _positions_left(length: int) -> int:
    for _ in range(2):
        length = (length - _KERNEL + 1) // _POOL
    return length - _KERNEL + 1
