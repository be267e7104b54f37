"""PTB-XL: 21,799 clinical 12-lead electrocardiograms of ten seconds, with several labels each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.checks import require
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.ptbxl_files import check_source, find_source
from trainables.datasets.ptbxl_records import LENGTH, N_LEADS, Records, read_records
from trainables.datasets.ptbxl_statements import N_CLASSES, Task, label_matrix
from trainables.datasets.ptbxl_tables import Tables
from trainables.datasets.record_samples import RecordSamples
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset_settings import SplitIndices
from trainables.errors import DataError
from trainables.seeding import stream

_N_PUBLISHED = 21_799
_VAL_FOLD, _TEST_FOLD = 9, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PtbXl:
    """Electrocardiograms at 100 Hz, with the splits, labels and scaling of the benchmark.

    Folds 1–8 are for training, 9 for validation, 10 for the test; records without a label of the
    task are left out of all three. Training sees one random window of each record per epoch; an
    evaluation takes the highest logit over windows at a fixed stride. Signals are scaled to mean
    0 and variance 1 over all leads and times of all labelled training records, however few of
    them ``train_size`` keeps.

    Below ``ptbxl/`` the data root holds one of: the published ``ptbxl_database.csv``,
    ``scp_statements.csv`` and ``records100/``, PhysioNet's zip file of version 1.0.3, or
    ``ptb-xl-subset1819.tar.xz``, a subset of processed records.

    Attributes:
        task: Which statements are classes: ``all`` 71, the 44 diagnostic ones, their 23
            subclasses or 5 superclasses, 19 on form, 12 on rhythm. Where only a subset of the
            records is at hand, some classes may have none.
        window: Length of a window in hundredths of a second.
        stride: Distance between the windows of an evaluation, likewise.
        train_size: Training records in all, drawn at random, or None for all.
        subset_seed: Seed of that draw.
        subset: Whether the replicas share one training subset or draw their own.

    References:
        Wagner et al., Scientific Data 7, 154 (2020); Strodthoff et al., IEEE J-BHI 2021,
        arXiv:2004.13701, section II.
    """

    name: ClassVar[str] = "ptbxl"
    task: Task = "super-diag"
    window: int = 250
    stride: int = 125
    train_size: int | None = None
    subset_seed: int = 0
    subset: Literal["fixed", "per_replica"] = "fixed"

    def __post_init__(self) -> None:
        """Check the ranges."""
        holds = 1 <= self.window <= LENGTH
        require(holds, "window", f"must lie in [1, {LENGTH}]", self.window)
        require(self.stride >= 1, "stride", "must be at least 1", self.stride)
        holds = self.train_size is None or self.train_size >= 1
        require(holds, "train_size", "must be at least 1", self.train_size)

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading."""
        return DatasetInfo(
            n_classes=N_CLASSES[self.task],
            input_shape=(N_LEADS, self.window),
            domain="series",
            is_multi_label=True,
        )

    @property
    def description(self) -> str:
        """Name the dataset with its task and the size of its training set, for results."""
        if self.train_size is None:
            return f"{self.name} ({self.task})"
        drawn = ", a subset per replica" if self.subset == "per_replica" else ""
        return f"{self.name} ({self.task}, {self.train_size} training samples{drawn})"

    def check(self, folders: DataFolders) -> None:
        """Check the files, and the size of the training split.

        Raises:
            ConfigError: If there are fewer training records.
            DataError: If a file is missing, truncated or altered.
        """
        tables = check_source(find_source(dataset_folder(folders, self.name)))
        self._choose(tables, self._labels(tables), 0)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, label, scale and split."""
        records = self._records(folders)
        labels = self._labels(records.tables)
        pool = _labelled(records.tables, labels).train
        scale = _scale(torch.from_numpy(records.moments)[pool])
        chosen = self._choose(records.tables, labels, replica_seed)
        train, val, test = (
            RecordSamples(
                signals=_standardised(records, indices, scale),
                targets=labels[indices],
                window=self.window,
                stride=self.stride,
            )
            for indices in (chosen.train, chosen.val, chosen.test)
        )
        return Splits(train=train, val=val, test=test)

    def provenance(self, folders: DataFolders) -> str | None:
        """Say what a result must say of the data at hand; None if they are as published.

        Returns:
            Such as "subset of 1,819 of 21,799 records, processed (unit NU instead of mV)".
        """
        records = self._records(folders)
        notes = []
        count = len(records.tables.records)
        if count != _N_PUBLISHED:
            notes.append(f"subset of {count:,} of {_N_PUBLISHED:,} records")
        if records.unit != "mV":
            notes.append(f"processed (unit {records.unit} instead of mV)")
        return ", ".join(notes) or None

    def _records(self, folders: DataFolders) -> Records:
        return read_records(dataset_folder(folders, self.name), folders.cache / self.name)

    def _labels(self, tables: Tables) -> Float[Tensor, "record classes"]:
        codes = [row.codes for row in tables.records]
        return label_matrix(codes, tables.statements, self.task)

    def _choose(self, tables: Tables, labels: Tensor, replica_seed: int) -> SplitIndices:
        found = _labelled(tables, labels)
        for split in ("train", "val", "test"):
            if len(getattr(found, split)) == 0:
                raise DataError(
                    f"ptbxl_database.csv has no {split} record with a label of task "
                    f"{self.task!r}; use more of its records, or another task."
                )
        if self.train_size is None:
            return found
        rule = f"must not exceed the {len(found.train)} training records"
        require(self.train_size <= len(found.train), "train_size", rule, self.train_size)
        own = (replica_seed,) if self.subset == "per_replica" else ()
        generator = stream(self.subset_seed, "split", "train", *own)
        order = torch.randperm(len(found.train), generator=generator)
        kept = found.train[order[: self.train_size].sort().values]
        return replace(found, train=kept)


def _labelled(tables: Tables, labels: Float[Tensor, "record classes"]) -> SplitIndices:
    # Records that have a label, by fold.
    fold = torch.tensor([row.fold for row in tables.records])
    fold[~labels.any(1)] = 0
    return SplitIndices(
        train=((fold > 0) & (fold < _VAL_FOLD)).nonzero().squeeze(1),
        val=(fold == _VAL_FOLD).nonzero().squeeze(1),
        test=(fold == _TEST_FOLD).nonzero().squeeze(1),
    )


def _scale(moments: Float[Tensor, "record moment"]) -> tuple[float, float]:
    mean, square = moments.mean(0).tolist()
    return mean, math.sqrt(square - mean**2)


def _standardised(
    records: Records, indices: Int[Tensor, " chosen"], scale: tuple[float, float]
) -> Float[Tensor, "chosen lead time"]:
    mean, std = scale
    return torch.from_numpy(records.signals[indices.numpy()]).sub_(mean).div_(std)
