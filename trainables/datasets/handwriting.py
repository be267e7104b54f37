"""What the two sources of MNIST digits share: their shape and their scaling."""

from __future__ import annotations

from jaxtyping import Int, UInt8
from torch import Tensor

from trainables.datasets.image_settings import ImageSettings
from trainables.datasets.pixel_samples import PixelSamples, Scale
from trainables.datasets.splits import DatasetInfo

# Mean and standard deviation of the 60,000 training images, of pixels in [0, 1].
_MEAN, _STD = 0.1307, 0.3081


def handwriting_info(settings: ImageSettings) -> DatasetInfo:
    """Describe 28 × 28 grey images of ten digits."""
    background = -_MEAN / _STD if settings.normalisation == "standardise" else 0.0
    return DatasetInfo(
        n_classes=10, input_shape=(1, 28, 28), domain="image", background=background
    )


def handwriting_samples(
    pixels: UInt8[Tensor, "sample height width"],
    targets: Int[Tensor, " sample"],
    settings: ImageSettings,
) -> PixelSamples:
    """Keep digits to be scaled as the settings say."""
    is_standard = settings.normalisation == "standardise"
    scale = Scale.standard([_MEAN], [_STD]) if is_standard else Scale.unit()
    return PixelSamples(pixels=pixels[:, None], targets=targets, scale=scale)


__all__ = ["handwriting_info", "handwriting_samples"]
