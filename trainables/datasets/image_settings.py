"""The settings that all image datasets share: how large each split is, and how it is scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainables.checks import require
from trainables.datasets.splits import Samples, Splits, per_class, stratified
from trainables.seeding import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """Sizes, subset and scaling of an image dataset.

    Validation and test samples depend on ``subset_seed`` alone. The training subset does too,
    unless ``subset`` is ``per_replica``: then every replica draws its own, so that an interval
    over replicas also covers the choice of the training samples.

    Attributes:
        train_per_class: Training samples per class ("tiny" sets), or None for all.
        train_size: Training samples in all, stratified, or None for all.
        val_size: Validation samples, stratified.
        test_size: Test samples, stratified, or None for all.
        subset_seed: Seed of the splits.
        subset: Whether the replicas share one training subset or draw their own.
        normalisation: ``standardise`` to mean 0 and variance 1 over the full training set, or
            ``unit`` for values in [0, 1]. In [0, 1] an empty pixel is 0 and its relevance is
            always 0, so that Challenger hardly ever selects it.
    """

    train_per_class: int | None = None
    train_size: int | None = None
    val_size: int = 200
    test_size: int | None = 500
    subset_seed: int = 0
    subset: Literal["fixed", "per_replica"] = "fixed"
    normalisation: Literal["standardise", "unit"] = "standardise"

    def __post_init__(self) -> None:
        """Check the ranges."""
        one_way = self.train_per_class is None or self.train_size is None
        require(
            one_way,
            "train_size",
            "must be left out beside train_per_class (set that to null)",
            self.train_size,
        )
        for field in ("train_per_class", "train_size", "val_size", "test_size"):
            value = getattr(self, field)
            require(value is None or value >= 1, field, "must be at least 1", value)

    def check_sizes(self, n_train: int, n_test: int, n_classes: int) -> None:
        """Check the sizes against what a dataset has.

        Args:
            n_train: Samples from which training and validation samples are drawn.
            n_test: Samples from which the test samples are drawn.
            n_classes: Number of classes.
        """
        rule = f"must leave training samples of the {n_train} there are"
        require(self.val_size < n_train, "val_size", rule, self.val_size)
        pool = n_train - self.val_size
        if self.train_size is not None:
            rule = f"must not exceed the {pool} samples beside the validation samples"
            require(self.train_size <= pool, "train_size", rule, self.train_size)
        if self.train_per_class is not None:
            rule = f"must not exceed the {pool // n_classes} samples per class that are left"
            holds = self.train_per_class <= pool // n_classes
            require(holds, "train_per_class", rule, self.train_per_class)
        rule = f"must not exceed the {n_test} test samples"
        require(
            self.test_size is None or self.test_size <= n_test, "test_size", rule, self.test_size
        )

    def split(self, pool: Samples, test: Samples, replica_seed: int) -> Splits:
        """Draw the splits.

        Args:
            pool: Samples for training and validation.
            test: Samples for the test split, disjoint from ``pool``.
            replica_seed: Seed of the replica; matters for ``subset: per_replica`` only.
        """
        val = stratified(pool.targets, self.val_size, stream(self.subset_seed, "split", "val"))
        rest = pool.take(complement(val, len(pool)))
        return Splits(
            train=rest.take(self._training_indices(rest.targets, replica_seed)),
            val=pool.take(val),
            test=self._test_samples(test),
        )

    def _training_indices(self, targets: Tensor, replica_seed: int) -> Tensor:
        own = (replica_seed,) if self.subset == "per_replica" else ()
        generator = stream(self.subset_seed, "split", "train", *own)
        if self.train_per_class is not None:
            rarest = int(torch.bincount(targets).min())
            rule = f"must not exceed the {rarest} samples left of the rarest class"
            require(self.train_per_class <= rarest, "train_per_class", rule, self.train_per_class)
            return per_class(targets, self.train_per_class, generator)
        if self.train_size is not None:
            return stratified(targets, self.train_size, generator)
        return torch.arange(len(targets))

    def _test_samples(self, test: Samples) -> Samples:
        if self.test_size is None or self.test_size == len(test):
            return test
        generator = stream(self.subset_seed, "split", "test")
        return test.take(stratified(test.targets, self.test_size, generator))


def complement(indices: Tensor, size: int) -> Tensor:
    """Give the indices below ``size`` that are not among some others, in increasing order."""
    is_left = torch.ones(size, dtype=torch.bool)
    is_left[indices] = False
    return is_left.nonzero().squeeze(1)
