"""Texts as samples: words are kept as numbers, and become vectors when a batch is made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from trainables.batch import Batch
from trainables.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSamples:
    """Texts of one length in words; a model sees (batch, dimension, length).

    Token 0 means "nothing that has a vector": padding behind a text, or a word of the vocabulary
    whose vector is unknown. Such a position is zero in all dimensions, so that its ε-LRP
    relevance is always 0, and no method may choose or change it. That is one rule for
    Challenger and for Random: the control must not spend its features on nothing.

    The vectors are frozen. Only a batch is ever embedded: 18,846 texts of 1,000 words are 38 MB
    as tokens, and 7.5 GB as vectors.

    Attributes:
        tokens: Row of ``vectors`` of each word, as int32 or smaller.
        vectors: A vector per word; row 0 is zero.
        targets: Class index per sample.
    """

    tokens: Int[Tensor, "sample length"]
    vectors: Float[Tensor, "words dimension"]
    targets: Labels

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> TokenSamples:
        """Give the samples of some indices; the vectors are shared."""
        return replace(self, tokens=self.tokens[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> TokenSamples:
        """Move to a device."""
        return TokenSamples(
            tokens=self.tokens.to(device),
            vectors=self.vectors.to(device),
            targets=self.targets.to(device),
        )

    def draw(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Make a batch for training; nothing in it is drawn."""
        del generator
        tokens = self.tokens[indices]
        return Batch(
            inputs=self._embedded(tokens), targets=self.targets[indices], occupied=tokens != 0
        )

    def views(
        self, indices: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "view batch dimension length"]:
        """Give the texts as vectors: one view."""
        return self._embedded(self.tokens[indices])[None]

    def occupied(self, indices: Int[Tensor, " chosen"]) -> Bool[Tensor, "view batch length"]:
        """Tell where there is a word that has a vector."""
        return (self.tokens[indices] != 0)[None]

    def _embedded(
        self, tokens: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch dimension length"]:
        return functional.embedding(tokens.int(), self.vectors).transpose(1, 2).contiguous()
