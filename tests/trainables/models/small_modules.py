"""Networks that a user could have written, for models by import path."""

from __future__ import annotations

import torch
from torch import nn

from trainables.datasets import DatasetInfo


def build(info: DatasetInfo, hidden: int = 32) -> nn.Module:
    """Build two linear layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(info.n_features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, info.n_classes),
    )


class TextTransformer(nn.Module):
    """A transformer over word vectors: one linear layer, encoder layers, the mean over words."""

    def __init__(
        self, info: DatasetInfo, width: int = 16, layers: int = 2, heads: int = 2
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(info.input_shape[0], width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, info.n_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        return self.head(self.encoder(self.embed(inputs.transpose(1, 2))).mean(1))


def no_network(info: DatasetInfo) -> int:
    """Return something else."""
    return info.n_classes


def wrong_logits(info: DatasetInfo) -> nn.Module:
    """Build a network of one class too many."""
    return nn.Sequential(nn.Flatten(), nn.Linear(info.n_features, info.n_classes + 1))


def broken(info: DatasetInfo) -> nn.Module:
    """Fail."""
    raise LookupError(f"no {info.domain} today")


constant = 3
