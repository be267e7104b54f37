"""Attribution maps of some test samples, stored with a final trial for the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trainables.attribution import epsilon_lrp
from trainables.config import TrialConfig
from trainables.datasets import PixelSamples
from trainables.evaluation import predict_logits
from trainables.replicas import Replica
from trainables.runtime.storage_errors import atomic_file, storage_errors

FILE_NAME = "attribution_maps.npz"


def save_attribution_maps(config: TrialConfig, replica: Replica, folder: Path) -> None:
    """Write the ε-LRP relevances of the first test sample of each class for its true class.

    Writes ``attribution_maps.npz`` with ``inputs`` and ``relevance`` (sample, channel, height,
    width), ``target`` and ``predicted`` (sample). Does nothing for other data than images.

    Raises:
        StorageError: If the folder cannot be written to.
    """
    samples = replica.data.test
    if config.dataset.info.domain != "image" or not isinstance(samples, PixelSamples):
        return
    samples = one_per_class(samples)
    inputs = samples.inputs
    relevance = epsilon_lrp(replica.state.model, inputs, samples.targets)
    predicted = predict_logits(replica.state.model, samples).argmax(1)
    with storage_errors(folder), atomic_file(folder / FILE_NAME) as file:
        np.savez_compressed(
            file,
            inputs=inputs.cpu().numpy(),
            relevance=relevance.cpu().numpy(),
            target=samples.targets.cpu().numpy(),
            predicted=predicted.cpu().numpy(),
        )


def one_per_class(samples: PixelSamples) -> PixelSamples:
    """Return the first sample of each class that occurs, by class."""
    labels = torch.unique(samples.targets)
    first = [(samples.targets == label).nonzero()[0, 0] for label in labels]
    return samples.take(torch.stack(first))
