"""The trained networks of a final trial: kept as arrays, loaded again, exported as a program."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.datasets import PixelSamples
from trainables.decoding import encode
from trainables.errors import CheckpointError
from trainables.replicas import Replica
from trainables.runtime.storage_errors import atomic_file, storage_errors
from trainables.seeding import stream

_ABOUT: Final = "about.json"
PATTERN: Final = "weights-*.npz"
"""The files of a trial's networks, one per replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """One replica's network after its last epoch.

    Attributes:
        network: In eval mode, on the CPU.
        seed: The replica's seed.
        scale: Mean and standard deviation per channel of pixels in [0, 1] by which images are
            scaled, (0, 1) if they are only brought to [0, 1]; None for other data.
        is_multi_label: Whether its logits belong to a sigmoid per class in place of a softmax.
        input_shape: Shape of one sample, channels first.
    """

    network: nn.Module
    seed: int
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None
    is_multi_label: bool
    input_shape: tuple[int, ...]


def weights_path(folder: Path, replica: int) -> Path:
    """Return the file of a replica's network in the folder of its trial."""
    return folder / f"weights-{replica}.npz"


def save_weights(config: TrialConfig, replicas: Sequence[Replica], folder: Path) -> None:
    """Write ``weights-<replica>.npz`` per replica: arrays by name and how the inputs are scaled.

    Nothing is pickled: bfloat16, which NumPy does not have, is written as float32.

    Raises:
        StorageError: If the folder cannot be written to.
    """
    for index, replica in enumerate(replicas):
        state = replica.state.model.state_dict()
        about = {
            "seed": replica.state.seed,
            "trial": encode(config),
            "scale": _scale_of(replica.data.test),
        }
        arrays = {name: _array(value) for name, value in state.items()}
        with storage_errors(folder), atomic_file(weights_path(folder, index)) as file:
            np.savez(file, allow_pickle=False, **{_ABOUT: np.array(json.dumps(about)), **arrays})


def load_trained(config: TrialConfig, folder: Path, replica: int) -> TrainedModel:
    """Build a trial's network and load the weights of one of its replicas.

    Raises:
        CheckpointError: If the file is missing, damaged or of another network.
    """
    path = weights_path(folder, replica)
    about, weights = _read(path)
    info = config.dataset.info
    network = config.model.build(info, stream(0, "weights"))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} must hold the weights of {config.model.description}, but does not: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None
    scale = about["scale"]
    return TrainedModel(
        network=network.eval(),
        seed=about["seed"],
        scale=None if scale is None else (tuple(scale["mean"]), tuple(scale["std"])),
        is_multi_label=info.is_multi_label,
        input_shape=info.input_shape,
    )


class Ensemble(nn.Module):
    """Several networks as one: the logarithm of their mean probabilities, or one's own logits.

    Images are taken as bytes, or as floats from 0 to 255, and scaled as in training.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, members: Sequence[TrainedModel]) -> None:
        """Join networks of the same data."""
        super().__init__()
        self.members = nn.ModuleList(member.network for member in members)
        self._is_multi_label = members[0].is_multi_label
        self._is_scaled = members[0].scale is not None
        mean, std = members[0].scale or ((0.0,), (1.0,))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, inputs: Tensor) -> Float[Tensor, "batch classes"]:
        """Return the logits of a batch: of one network as they are, of several on average."""
        if self._is_scaled:
            inputs = (inputs.float() / 255.0 - self.mean) / self.std
        logits: list[Tensor] = [member(inputs) for member in self.members]
        if len(logits) == 1:
            return logits[0]
        stacked = torch.stack(logits)
        if self._is_multi_label:
            return torch.logit(stacked.sigmoid().mean(0), eps=1e-7)
        return torch.logsumexp(stacked.log_softmax(-1), 0) - float(np.log(len(logits)))


def export_program(
    members: Sequence[TrainedModel], path: Path, about: Mapping[str, object]
) -> None:
    """Write networks as a ``torch.export`` program, which runs without this package.

    ``torch.export.load(path).module()(batch)`` returns the logits of a batch of any size: images
    as bytes from 0 to 255, other data as the model's own inputs. The file ``about.json`` inside
    states where the networks come from.

    Args:
        members: One network, or several for their mean.
        path: File to write, ``.pt2`` by custom.
        about: JSON content of ``about.json``.

    Raises:
        CheckpointError: If the network cannot be exported: its code depends on the data.
        StorageError: If the file cannot be written.
    """
    ensemble = Ensemble(members).eval()
    shape = (2, *members[0].input_shape)
    is_image = members[0].scale is not None
    example = torch.zeros(shape, dtype=torch.uint8) if is_image else torch.zeros(shape)
    batch = torch.export.Dim("batch", min=1)
    try:
        program = torch.export.export(ensemble, (example,), dynamic_shapes=({0: batch},))
    except Exception as error:
        # Torch's own errors have no common class below Exception.
        raise CheckpointError(
            f"the network cannot be exported by torch.export: {str(error).splitlines()[0]}"
        ) from error
    with storage_errors(path.parent), atomic_file(path) as file:
        torch.export.save(program, file, extra_files={_ABOUT: json.dumps(dict(about))})


def _scale_of(samples: object) -> dict[str, list[float]] | None:
    if not isinstance(samples, PixelSamples):
        return None
    scale = samples.scale
    if scale.mean is None or scale.std is None:
        return {"mean": [0.0], "std": [1.0]}
    return {"mean": scale.mean.flatten().tolist(), "std": scale.std.flatten().tolist()}


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with path.open("rb") as stored, np.load(stored, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop(_ABOUT)))
        return about, {name: torch.from_numpy(array) for name, array in arrays.items()}
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} must hold a trained network, but is missing: the trial has not ended, or the "
            "study file says 'resources: {keep_models: none}'."
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is damaged: {error}; remove {path.parent} and run 'challenger-study repair' "
            "and 'resume' with the study's name, which train the trial again."
        ) from None
