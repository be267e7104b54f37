"""VGG with a width setting and the small head of its CIFAR form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.models.initialization import initialize, scale_channels
from trainables.models.model import Network

# Channels of the convolutions, and M where a maximum halves the grid: columns A and D of table 1
# of Simonyan and Zisserman (ICLR 2015), as in torchvision, which takes seconds to import.
_LAYOUTS: Mapping[str, Sequence[int | Literal["M"]]] = {
    "A": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "D": (
        *(64, 64, "M", 128, 128, "M", 256, 256, 256, "M"),
        *(512, 512, 512, "M", 512, 512, 512, "M"),
    ),
}
_GRID = 32  # five halvings leave one position


@record
class VggSettings(Network):
    """Settings of a VGG; ``layout`` names its column of the paper's table.

    Attributes:
        batch_norm: Whether a batch norm follows every convolution; off in the paper.
        dropout: Drop probability in the head; 0 in the paper.
    """

    layout: ClassVar[str]

    def build(self, info: DatasetInfo, generator: torch.Generator) -> Vgg:
        """Return a freshly initialized network.

        Args:
            info: Shape of the inputs and number of classes.
            generator: Source of the initial weights, on the CPU.

        Raises:
            ConfigError: If the samples are no images of at most 32 × 32.
        """
        if info.domain != "image" or max(info.input_shape[1:]) > _GRID:
            raise ConfigError(
                f"VGG takes images of at most {_GRID} × {_GRID}, but the dataset gives samples "
                f"of shape {info.input_shape}; choose another model."
            )
        # New layers draw torch's default weights from the global generator.
        with torch.random.fork_rng(devices=[]):
            model = Vgg(self, info)
        initialize(model, self.initialization, generator)
        return model


@record
class Vgg11(VggSettings):
    """Eight convolutions: the paper's model for MNIST."""

    name: ClassVar[str] = "vgg11"
    layout: ClassVar[str] = "A"


@record
class Vgg16(VggSettings):
    """Thirteen convolutions: the paper's model for CIFAR-10."""

    name: ClassVar[str] = "vgg16"
    layout: ClassVar[str] = "D"


class Vgg(nn.Module):
    """Convolutions as in the paper's table, then 512 → 512 → C (times the width).

    Smaller inputs are padded to 32 × 32 with the dataset's background; the padding is not part
    of the input features. Flattening is functional and no activation is in place, so that
    Captum's LRP supports the network.
    """

    def __init__(self, settings: VggSettings, info: DatasetInfo) -> None:
        """Create the layers with torch's default weights."""
        super().__init__()
        channels, height, width = info.input_shape
        self.padding = _padding(height, width)
        self.background: float = info.background
        self.features = nn.Sequential(*_features(settings, channels))
        hidden = scale_channels(512, settings.width)
        self.classifier = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            *([nn.Dropout(settings.dropout)] if settings.dropout else []),
            nn.Linear(hidden, info.n_classes),
        )

    def forward(
        self, inputs: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        padded = functional.pad(inputs, self.padding, value=self.background)
        return self.classifier(self.features(padded).flatten(1))  # type: ignore[no-any-return]


def _features(settings: VggSettings, channels: int) -> Iterator[nn.Module]:
    for entry in _LAYOUTS[settings.layout]:
        if isinstance(entry, str):
            yield nn.MaxPool2d(2)
            continue
        outputs = scale_channels(entry, settings.width)
        yield nn.Conv2d(channels, outputs, kernel_size=3, padding=1)
        if settings.batch_norm:
            yield nn.BatchNorm2d(outputs)
        yield nn.ReLU()
        channels = outputs


def _padding(height: int, width: int) -> tuple[int, int, int, int]:
    left, top = (_GRID - width) // 2, (_GRID - height) // 2
    return left, _GRID - width - left, top, _GRID - height - top
