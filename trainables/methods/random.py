"""Challenges of randomly selected features: the paper's control for the attribution."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.methods.challenge import (
    Alpha,
    Beta,
    ChallengeStrength,
    Clip,
    FeatureCount,
    LoweredShare,
    Split,
    apply_challenge,
    check_feature_count,
    idle_reason,
    random_features,
    split_batch,
)
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG


@record
class Random(Method):
    """Challenges of N features drawn at random (paper, section 4.1.2).

    Everything but the selection of features is as in :class:`Challenger`.

    Attributes:
        n_features: N, a count (int) or a fraction of the input features (float).
        alpha: α ≥ 0, by which challenge A lowers, in units of the model's inputs.
        beta: β ≥ 0, by which challenge B raises, in units of the model's inputs.
        split: Fraction of a batch that is challenged.
        a_fraction: Fraction of the challenged samples that get A; the others get B.
        clip: Bounds to which challenged samples are clipped, or None.
    """

    name: ClassVar[str] = "random"
    label: ClassVar[str] = "Random"
    n_features: FeatureCount = 0.1
    alpha: Alpha = 0.5
    beta: Beta = 0.5
    split: Split = 0.5
    a_fraction: LoweredShare = 0.5
    clip: Clip | None = None

    def check(self, info: DatasetInfo) -> None:
        """Check the settings against a dataset."""
        check_feature_count(self.n_features, info.n_features)

    def idle_reason(self, batch_size: int) -> str | None:
        """Return why no sample of a batch of that size is changed; None if some are."""
        return idle_reason(batch_size, self.split, self.a_fraction)

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Challenge the first samples of a shuffled batch."""
        split_sizes = split_batch(batch, self.split, self.a_fraction)
        if split_sizes.challenged == 0:
            return batch
        features = random_features(batch.first(split_sizes.challenged), self.n_features, rng)
        strength = ChallengeStrength(alpha=self.alpha, beta=self.beta, clip=self.clip)
        challenged = apply_challenge(batch.inputs, features, split_sizes, strength)
        return replace(batch, inputs=challenged)
