"""How much of a model's relevance lies inside the object that an image shows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution import epsilon_lrp
from trainables.attribution.gradients import eval_mode
from trainables.datasets import Samples
from trainables.datasets.samples import PixelSamples
from trainables.errors import ConfigError
from trainables.evaluation import index_batches

# A backward pass stores every activation, about 2 MB per image for the networks here.
_IMAGES_PER_PASS = 256


def object_relevance(model: nn.Module, samples: Samples) -> float:
    """Compute the share of the positive relevance that lies inside the object.

    The relevance is ε-LRP's of the true class, summed over the channels. All images count alike,
    whatever their relevance; one whose relevance is nowhere positive has nothing inside: 0.

    Runs the model in eval mode and restores its mode.

    Args:
        model: Trained network.
        samples: Images that know which of their pixels show the object.

    Returns:
        The mean share over the images, in [0, 1].

    Raises:
        ConfigError: If the samples do not know their object's pixels.

    References:
        Inside-total relevance ratio of Kohlbrenner et al., Towards Best Practice in Explaining
        Neural Network Decisions with LRP, IJCNN 2020, section III.
    """
    shares = []
    with eval_mode(model):
        for indices in index_batches(samples, _IMAGES_PER_PASS):
            mask = samples.object_mask(indices) if isinstance(samples, PixelSamples) else None
            if mask is None:
                raise ConfigError(
                    "evaluation.object_relevance needs test images that know which of their "
                    f"pixels show the object, got {type(samples).__name__}."
                )
            relevance = epsilon_lrp(model, samples.views(indices)[0], samples.targets[indices])
            shares.append(_shares(relevance, mask))
    return float(torch.cat(shares).mean())


def _shares(
    relevance: Float[Tensor, "image channel height width"], mask: Tensor
) -> Float[Tensor, " image"]:
    positive = relevance.sum(1).clamp(min=0).double()
    inside = (positive * mask).sum((1, 2))
    return inside / positive.sum((1, 2)).clamp(min=torch.finfo(torch.double).tiny)
