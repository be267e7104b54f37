"""Pretrained weights from a file, read without executing anything in it."""

from __future__ import annotations

import hashlib
import pickle
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from trainables.errors import ConfigError

# Under which training scripts keep the weights beside other things.
_KEYS = ("state_dict", "model_state_dict", "model")


def read_weights(path: str) -> dict[str, Tensor]:
    """Return the weights in a file of ``torch.save``, on the CPU.

    They may stand under ``state_dict``, ``model_state_dict`` or ``model``, and their names may
    begin with the ``module.`` of ``DistributedDataParallel``.

    Raises:
        ConfigError: If it holds anything but tensors by name.
    """
    _require_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"weights cannot be read from {path}: {str(error).splitlines()[0]}; save them by "
            "torch.save(network.state_dict(), FILE)."
        ) from None
    for key in _KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not (isinstance(content, dict) and content) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise ConfigError(
            f"weights must be tensors by name, but {path} holds something else; save them by "
            "torch.save(network.state_dict(), FILE)."
        )
    weights = dict(content)
    consume_prefix_in_state_dict_if_present(weights, "module.")
    return weights


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: str) -> None:
    """Load weights into a network, all of them.

    Raises:
        ConfigError: Naming the first that is missing, unknown or of another shape.
    """
    own = network.state_dict()
    problems = [
        *(f"lacks {key!r}" for key in own if key not in weights),
        *(f"has {key!r}, which the network has not" for key in weights if key not in own),
        *(
            f"has {key!r} of shape {tuple(weights[key].shape)}, not {tuple(value.shape)}"
            for key, value in own.items()
            if key in weights and weights[key].shape != value.shape
        ),
    ]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ConfigError(f"weights do not fit the network: {path} {problems[0]}{more}.")
    network.load_state_dict(weights)


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file of weights, which is read again only if it was changed.

    Raises:
        ConfigError: If it does not exist.
    """
    _require_file(path)
    state = Path(path).stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


def _require_file(path: str) -> None:
    if not Path(path).is_file():
        raise ConfigError(f"weights must be a file, but {path!r} is none; give its whole path.")


@lru_cache(maxsize=64)
def _digest(path: str, _size: int, _changed_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
