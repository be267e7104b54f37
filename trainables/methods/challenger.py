"""Challenger: the most relevant features of a prediction are lowered or raised in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from trainables.attribution import AttributionConfig, EpsilonLrp
from trainables.attribution.gradients import InTrainMode, resolve_target
from trainables.batch import Batch, true_class
from trainables.checks import require
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.fields import Count, SearchRange, Symbol
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
    select_features,
    split_batch,
)
from trainables.methods.method import Method
from trainables.methods.mixup import Mixup
from trainables.replica_rng import ReplicaRNG

ClassMode = Literal["topk", "target", "topk_or_target"]

_RANKS = "Classes whose attribution may be drawn, K"
_RANKING = "Attribution that ranks the features"


@record
class Challenger(Method):
    """Algorithm 1 of the paper; each of its ambiguities is a setting with the default first.

    Only the challenged samples are attributed, by default in eval mode, where no sample's
    relevance depends on another's. Batches must be shuffled: A, B and the unchanged rest are
    taken by position, as in the paper. Ties of relevance (many are exactly 0 where inputs are 0)
    are broken by ``topk``, which may differ between devices.

    Attributes:
        top_k: K, the number of highest-ranked classes from which the explained one is drawn.
        n_features: N, a count (int) or a fraction of the input features (float).
        alpha: α ≥ 0, by which challenge A lowers, in units of the model's inputs.
        beta: β ≥ 0, by which challenge B raises, in units of the model's inputs.
        split: Fraction of a batch that is challenged; 0.5 in the paper.
        a_fraction: Fraction of the challenged samples that get A; 0.5 in the paper.
        attribution: Attribution that ranks the features; ε-LRP in the paper.
        class_mode: ``topk`` draws the explained class from the K highest-ranked (algorithm 1),
            ``target`` takes the label (of several the highest-ranked), ``topk_or_target`` one or
            the other by a coin flip.
        k_draw: One rank k for the ``batch`` (algorithm 1), or one per ``sample``.
        attribution_mode: Mode of the network while it is attributed. In ``train`` mode dropout
            draws, and batch norms use the statistics of the challenged samples.
        clip: Bounds to which challenged samples are clipped, or None.
        mixup: MixUp of the whole batch once its samples are challenged, as in the paper's table 4
            (which does not state the order), or None.

    References:
        Tomani and Cremers, arXiv:2205.15094, section 3.3 and algorithm 1.
    """

    name: ClassVar[str] = "challenger"
    label: ClassVar[str] = "Challenger"
    top_k: Annotated[Count, SearchRange(1, "n_classes"), Symbol("K", _RANKS)] = 5
    n_features: FeatureCount = 0.1
    alpha: Alpha = 0.5
    beta: Beta = 0.5
    split: Split = 0.5
    a_fraction: LoweredShare = 0.5
    attribution: Annotated[AttributionConfig, Symbol("attribution", _RANKING)] = EpsilonLrp()
    class_mode: ClassMode = "topk"
    k_draw: Literal["batch", "sample"] = "batch"
    attribution_mode: Literal["eval", "train"] = "eval"
    clip: Clip | None = None
    mixup: Mixup | None = None

    @property
    def passes(self) -> float:
        """Passes over a batch that a training step takes."""
        return 1.0 + self.split

    def check(self, info: DatasetInfo) -> None:
        """Check the settings against a dataset."""
        self._check_top_k(info.n_classes)
        check_feature_count(self.n_features, info.n_features)

    def _check_top_k(self, n_classes: int) -> None:
        if self.class_mode != "target":
            rule = f"must not exceed the {n_classes} classes"
            require(self.top_k <= n_classes, "top_k", rule, self.top_k)

    def idle_reason(self, batch_size: int) -> str | None:
        """Return why no sample of a batch of that size is changed; None if some are."""
        return idle_reason(batch_size, self.split, self.a_fraction)

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Challenge the first samples of a shuffled batch.

        Costs one forward and one input-only backward pass over the challenged samples.
        """
        challenged = self._challenged(model, batch, rng)
        if self.mixup is None:
            return challenged
        return self.mixup.perturb(model, challenged, rng)

    def _challenged(self, model: nn.Module, batch: Batch, rng: ReplicaRNG) -> Batch:
        split_sizes = split_batch(batch, self.split, self.a_fraction)
        if split_sizes.challenged == 0:
            return batch
        first = batch.first(split_sizes.challenged)
        chosen = self._class_chooser(first, rng)
        seen = model if self.attribution_mode == "eval" else InTrainMode(model)
        relevance = self.attribution(seen, first.inputs, chosen)
        features = select_features(relevance, self.n_features, rng, first.feature_mask)
        strength = ChallengeStrength(alpha=self.alpha, beta=self.beta, clip=self.clip)
        challenged = apply_challenge(batch.inputs, features, split_sizes, strength)
        return replace(batch, inputs=challenged)

    def _class_chooser(self, batch: Batch, rng: ReplicaRNG) -> Callable[[Tensor], Tensor]:
        def choose(logits: Tensor) -> Tensor:
            self._check_top_k(logits.shape[1])
            target = resolve_target(true_class(batch.targets), logits)
            if self.class_mode == "target":
                return target
            ranked = logits.topk(self.top_k, dim=1).indices.gather(1, self._rank(batch, rng))
            if self.class_mode == "topk":
                return ranked.squeeze(1)
            return torch.where(rng.rand(len(batch)) < 0.5, ranked.squeeze(1), target)

        return choose

    def _rank(self, batch: Batch, rng: ReplicaRNG) -> Int[Tensor, "batch 1"]:
        if self.k_draw == "sample":
            return rng.randint(self.top_k, len(batch), 1)
        return batch.repeat_per_sample(rng.randint(self.top_k, batch.n_replicas, 1))
