"""Settings that datasets share: size, subset and scaling of each split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from trainables.checks import require
from trainables.datasets.dataset import Dataset
from trainables.datasets.samples import Samples
from trainables.datasets.splits import Splits, per_class_indices, stratified_indices
from trainables.decoding import record
from trainables.fields import Seed, Size
from trainables.seeding import stream


@record
class SubsetSettings(Dataset):
    """Sizes of the splits of a single-label dataset.

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
    """

    train_per_class: Size | None = None
    train_size: Size | None = None
    val_size: Size = 200
    test_size: Size | None = 500
    subset_seed: Seed = 0
    subset: Literal["fixed", "per_replica"] = "fixed"

    @property
    def label(self) -> str:
        """The dataset's name in results, with settings that change its samples."""
        return self.name

    @property
    def description(self) -> str:
        """``label`` with the size of the training set."""
        if self.train_per_class is not None:
            size = f"{self.train_per_class} per class"
        elif self.train_size is not None:
            size = f"{self.train_size} training samples"
        else:
            return self.label
        drawn = ", a subset per replica" if self.subset == "per_replica" else ""
        return f"{self.label} ({size}{drawn})"

    @property
    def pool_size(self) -> int | None:
        """Samples for training and validation, or None if known only after reading."""
        return None

    @property
    def training_size(self) -> int | None:
        """Number of training samples, or None if it is known only after reading."""
        if self.train_per_class is not None:
            return self.train_per_class * self.info.n_classes
        if self.train_size is not None or self.pool_size is None:
            return self.train_size
        return self.pool_size - self.val_size

    def __post_init__(self) -> None:
        """Check that the training set is described in one way."""
        one_way = self.train_per_class is None or self.train_size is None
        rule = "must be left out beside train_per_class (set that to null)"
        require(one_way, "train_size", rule, self.train_size)

    def check_sizes(self, n_train: int, n_test: int, n_classes: int) -> None:
        """Check the sizes of the splits.

        Args:
            n_train: Samples from which training and validation samples are drawn.
            n_test: Samples from which the test samples are drawn.
            n_classes: Number of classes.

        Raises:
            ConfigError: If a split is larger than the data.
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
        chosen = self.choose(pool.targets, test.targets, replica_seed)
        return Splits(
            train=pool.take(chosen.train), val=pool.take(chosen.val), test=test.take(chosen.test)
        )

    def choose(
        self,
        pool: Int[Tensor, " sample"],
        test: Int[Tensor, " held_out"],
        replica_seed: int,
    ) -> SplitIndices:
        """Draw the splits as indices, given the targets of :meth:`split`'s samples."""
        val = stratified_indices(pool, self.val_size, stream(self.subset_seed, "split", "val"))
        rest = complement(val, len(pool))
        train = rest[self._training_indices(pool[rest], replica_seed)]
        return SplitIndices(train=train, val=val, test=self._test_indices(test))

    def _training_indices(self, targets: Tensor, replica_seed: int) -> Tensor:
        own = (replica_seed,) if self.subset == "per_replica" else ()
        generator = stream(self.subset_seed, "split", "train", *own)
        if self.train_per_class is not None:
            rarest = int(torch.bincount(targets).min())
            rule = f"must not exceed the {rarest} samples left of the rarest class"
            require(self.train_per_class <= rarest, "train_per_class", rule, self.train_per_class)
            return per_class_indices(targets, self.train_per_class, generator)
        if self.train_size is not None:
            return stratified_indices(targets, self.train_size, generator)
        return torch.arange(len(targets))

    def _test_indices(self, targets: Tensor) -> Tensor:
        if self.test_size is None or self.test_size == len(targets):
            return torch.arange(len(targets))
        return stratified_indices(
            targets, self.test_size, stream(self.subset_seed, "split", "test")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitIndices:
    """Splits as indices: of training and validation samples into one pool, of test samples."""

    train: Int[Tensor, " train"]
    val: Int[Tensor, " val"]
    test: Int[Tensor, " test"]


def complement(indices: Tensor, size: int) -> Tensor:
    """Return the indices below ``size`` that are not in ``indices``, in increasing order."""
    is_left = torch.ones(size, dtype=torch.bool)
    is_left[indices] = False
    return is_left.nonzero().squeeze(1)


@record
class ImageSettings(SubsetSettings):
    """Sizes, subset and scaling of an image dataset; the rest is in :class:`SubsetSettings`.

    Attributes:
        normalization: ``standardize`` to mean 0 and variance 1 over the full training set, or
            ``unit`` for values in [0, 1]. In [0, 1] an empty pixel is 0 and its relevance is
            always 0, so that Challenger hardly ever selects it.
    """

    normalization: Literal["standardize", "unit"] = "standardize"
