"""Data of a user's own, read without code: what all readers share, and their splits."""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from trainables.batch import Labels, is_multi_label
from trainables.checks import require
from trainables.datasets.dataset import Dataset
from trainables.datasets.samples import Samples
from trainables.datasets.splits import (
    DataFolders,
    DatasetInfo,
    Splits,
    per_class_indices,
    stratified_indices,
)
from trainables.datasets.subset import SplitIndices, complement
from trainables.decoding import record
from trainables.errors import ConfigError, DataError
from trainables.fields import Kinds, Seed, Size
from trainables.names import printable
from trainables.seeding import stream

SplitSize: TypeAlias = Annotated[
    Annotated[int, Field(ge=1, le=10_000_000)] | Annotated[float, Field(gt=0, lt=1)],
    Kinds("a number of samples, or a share in (0, 1)"),
]
"""Samples of a split: their number as an integer, or their share as a fraction."""

SPLITS = ("train", "val", "test")
_ANY_SPLIT, _VAL, _TEST = 0, 1, 2

MAPPED_FROM_BYTES = 1 << 30
"""Size from which arrays stay on disk and batches are read from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a source holds, without its inputs.

    Attributes:
        classes: Names of the classes, in the order of the targets.
        targets: Class index per sample, or 0 or 1 per class.
        splits: Split that the source itself puts a sample into: 1 validation, 2 test, else 0.
        given: Names of the splits that the source has.
        info: Facts of the samples.
        place: File and row of a sample, for messages.
        content: What identifies the inputs beside the labels, such as sizes or checksums.
        extra: What the reader needs to read the inputs.
    """

    classes: tuple[str, ...]
    targets: Labels
    splits: Int[Tensor, " sample"]
    given: frozenset[str]
    info: DatasetInfo
    place: Callable[[int], str]
    content: str
    extra: Any


@record
class Reader(Dataset):
    """Sizes and splits of a user's own data.

    Splits that the source has are taken as they are; those that it lacks are drawn from the rest,
    with the classes in their proportions. Every class must occur in every split, or among the
    training samples if samples may have several classes.

    Attributes:
        train_per_class: Training samples per class, or None for all.
        train_size: Training samples in all, stratified, or None for all.
        val_size: Validation samples, as a number or a share, if the source has none of its own.
        test_size: Test samples, likewise.
        subset_seed: Seed of the splits.
        subset: Whether the replicas share one training subset or draw their own.
    """

    train_per_class: Size | None = None
    train_size: Size | None = None
    val_size: SplitSize = 0.15
    test_size: SplitSize = 0.2
    subset_seed: Seed = 0
    subset: Literal["fixed", "per_replica"] = "fixed"

    def __post_init__(self) -> None:
        """Check that the training set is described in one way."""
        one_way = self.train_per_class is None or self.train_size is None
        rule = "must be left out beside train_per_class (set that to null)"
        require(one_way, "train_size", rule, self.train_size)

    @property
    @abstractmethod
    def source(self) -> Path:
        """File or folder with the labels."""

    @abstractmethod
    def _read_listing(self) -> Listing:
        """Read labels and facts.

        Raises:
            DataError: If a file or label is missing or damaged.
        """

    @abstractmethod
    def _samples(
        self, listing: Listing, chosen: SplitIndices, folders: DataFolders
    ) -> Mapping[str, Samples]:
        """Read the samples of the splits, scaled by the training samples alone."""

    @property
    def source_name(self) -> str:
        """Name of the reader and path of its source."""
        return f"{self.name} {self.source}"

    @property
    def listing(self) -> Listing:
        """The source's labels and facts; read once, and again when the source changes."""
        return _listing(self, _stamp(self.source))

    @property
    def info(self) -> DatasetInfo:
        """Facts of the samples.

        Raises:
            ConfigError: If the source is missing or damaged.
        """
        try:
            return self.listing.info
        except DataError as error:
            raise ConfigError(f"dataset: {error}") from error

    @property
    def training_size(self) -> int:
        """Number of training samples."""
        return len(self._choose(self.listing, 0).train)

    @property
    def description(self) -> str:
        """Name of the source, with the size of the training set."""
        name = f"{self.source.name} ({self.name}"
        if self.train_per_class is not None:
            name += f", {self.train_per_class} per class"
        elif self.train_size is not None:
            name += f", {self.train_size} training samples"
        return f"{name}{', a subset per replica' if self.is_per_replica else ''})"

    def provenance(self, folders: DataFolders) -> str | None:  # noqa: ARG002 (as all datasets)
        """Return samples by class and a digest, by which a study notices other data."""
        listing = self.listing
        counts = class_counts(listing.targets).tolist()
        named = ", ".join(
            f"{printable(name)} {count}"
            for name, count in zip(listing.classes[:10], counts, strict=False)
        )
        more = f" and {len(counts) - 10} further classes" if len(counts) > 10 else ""
        digest = hashlib.sha256(listing.targets.numpy().tobytes() + listing.content.encode())
        return (
            f"own data: {len(listing.targets)} samples ({named}{more}), content "
            f"{digest.hexdigest()[:8]}"
        )

    def check(self, folders: DataFolders) -> None:
        """Check labels, splits and every sample.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing or damaged; the message names file and row.
        """
        self.load(folders, 0)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        listing = self.listing
        return Splits(**self._samples(listing, self._choose(listing, replica_seed), folders))

    def _choose(self, listing: Listing, replica_seed: int) -> SplitIndices:
        if len(listing.classes) < 2:
            raise DataError(
                f"{self.source} must have samples of two classes at least, but all are of class "
                f"{printable(listing.classes[0])!r}; add samples of another class."
            )
        rest = (listing.splits == _ANY_SPLIT).nonzero().squeeze(1)
        parts: dict[str, Tensor] = {}
        for name, number, size in (("test", _TEST, self.test_size), ("val", _VAL, self.val_size)):
            if name in listing.given:
                parts[name] = (listing.splits == number).nonzero().squeeze(1)
                continue
            drawn = self._held_out(listing.targets[rest], name, size)
            parts[name] = rest[drawn]
            rest = rest[complement(drawn, len(rest))]
        train = rest[self._training_indices(listing.targets[rest], replica_seed)]
        chosen = SplitIndices(train=train, val=parts["val"], test=parts["test"])
        self._check_classes(listing, chosen)
        return chosen

    def _held_out(self, targets: Labels, name: str, size: int | float) -> Tensor:
        key = f"{name}_size"
        count = size if isinstance(size, int) else max(1, round(size * len(targets)))
        rule = f"must leave training samples of the {len(targets)} there are"
        require(count < len(targets), key, rule, size)
        return stratified(targets, count, stream(self.subset_seed, "split", name))

    def _training_indices(self, targets: Labels, replica_seed: int) -> Tensor:
        own = (replica_seed,) if self.is_per_replica else ()
        generator = stream(self.subset_seed, "split", "train", *own)
        if self.train_per_class is not None:
            if is_multi_label(targets):
                raise ConfigError(
                    "train_per_class must be left out for samples of several classes, got "
                    f"{self.train_per_class}; use train_size."
                )
            rarest = int(class_counts(targets).min())
            rule = f"must not exceed the {rarest} samples left of the rarest class"
            require(self.train_per_class <= rarest, "train_per_class", rule, self.train_per_class)
            return per_class_indices(targets, self.train_per_class, generator)
        if self.train_size is None:
            return torch.arange(len(targets))
        rule = f"must not exceed the {len(targets)} samples beside the other splits"
        require(self.train_size <= len(targets), "train_size", rule, self.train_size)
        if self.train_size == len(targets):
            return torch.arange(len(targets))
        return stratified(targets, self.train_size, generator)

    def _check_classes(self, listing: Listing, chosen: SplitIndices) -> None:
        several = is_multi_label(listing.targets)
        for split in ("train",) if several else SPLITS:
            counts = class_counts(listing.targets[getattr(chosen, split)], len(listing.classes))
            absent = (counts == 0).nonzero().squeeze(1).tolist()
            if absent:
                name = printable(listing.classes[absent[0]])
                raise DataError(
                    f"{self.source} must have samples of every class in its {split} split, but "
                    f"none of class {name!r}; add some, remove the class, or change the sizes of "
                    "the splits."
                )


@functools.lru_cache(maxsize=16)
def _listing(reader: Reader, stamp: tuple[int, int]) -> Listing:
    del stamp
    return reader._read_listing()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing; correct its path, which is relative to the study file."
        ) from error
    except OSError as error:
        raise DataError(f"{path} must be readable, but is not ({error.strerror}).") from error
    return status.st_mtime_ns, status.st_size


def class_counts(targets: Labels, n_classes: int = 0) -> Int[Tensor, " classes"]:
    """Count the samples of each class."""
    if is_multi_label(targets):
        return targets.sum(0).long()
    return torch.bincount(targets, minlength=n_classes)


def stratified(targets: Labels, size: int, generator: torch.Generator) -> Int[Tensor, " size"]:
    """Draw indices with the classes in the proportions of ``targets``, in increasing order.

    Samples of several classes are assigned one class after the other, the rarest first, each to
    the part that lacks it most (iterative stratification).

    References:
        Sechidis et al., ECML PKDD 2011, algorithm 1.
    """
    if not is_multi_label(targets):
        return stratified_indices(targets, size, generator)
    order = torch.randperm(len(targets), generator=generator).numpy()
    labels = targets.numpy()[order] > 0
    share = size / len(labels)
    wanted = labels.sum(0) * share
    left = np.ones(len(labels), dtype=bool)
    taken = np.zeros(len(labels), dtype=bool)
    while True:
        counts = labels[left].sum(0)
        if not counts.any():
            break
        rarest = int(np.where(counts > 0, counts, len(labels) + 1).argmin())
        for index in np.flatnonzero(left & labels[:, rarest]):
            other = counts[rarest] - wanted[rarest]
            goes = (
                wanted[rarest] > 0
                and taken.sum() < size
                and wanted[rarest] / share >= (other / max(1 - share, 1e-9))
            )
            taken[index] = goes
            wanted -= labels[index] * goes
            counts = counts - labels[index]
            left[index] = False
    # What has no class, or is left to reach the size.
    missing = size - int(taken.sum())
    spare = np.concatenate([np.flatnonzero(left), np.flatnonzero(~left & ~taken)])
    taken[spare[:missing]] = True
    return torch.from_numpy(np.sort(order[taken]))


def encode_labels(
    labels: Mapping[str, Any] | list[str], place: Callable[[int], str]
) -> tuple[tuple[str, ...], Tensor]:
    """Return the sorted classes, and the index of each label among them.

    Raises:
        DataError: If a label is empty.
    """
    values = list(labels)
    for index, label in enumerate(values):
        if not label:
            raise DataError(f"{place(index)} must have a label, but has none; add it.")
    classes = tuple(sorted(set(values), key=_natural))
    index_of = {name: k for k, name in enumerate(classes)}
    return classes, torch.tensor([index_of[label] for label in values], dtype=torch.int64)


def _natural(name: str) -> tuple[float, str]:
    # '10' after '9'; names that are no numbers in alphabetical order behind them.
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
