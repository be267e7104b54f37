"""PTB-XL: 21,799 clinical 12-lead electrocardiograms of ten seconds with several labels each."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from pydantic import Field
from torch import Tensor

from trainables.checks import require
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.dataset import Dataset
from trainables.datasets.ptbxl_files import (
    DATABASE,
    N_CLASSES,
    STATEMENTS,
    RecordRow,
    Tables,
    Task,
    check_source,
    find_source,
    label_matrix,
    read_tables,
    source_digest,
    unpack,
)
from trainables.datasets.samples import RecordSamples
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset import SplitIndices
from trainables.datasets.wfdb_files import read_header, read_signals
from trainables.decoding import record
from trainables.errors import DataError
from trainables.fields import Seed, Size
from trainables.runtime.storage_errors import storage_errors
from trainables.seeding import stream

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
N_LEADS, LENGTH, RATE_HZ = len(LEADS), 1000, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordArrays:
    """All records of one source.

    Attributes:
        tables: Metadata of the records, in the order of ``signals``.
        signals: Memory-mapped signals in ``unit``.
        moments: Mean of each record over its leads and times, and mean of its squares.
        unit: Unit of the signals; mV as published.
    """

    tables: Tables
    signals: Float32[np.ndarray[Any, Any], "record lead time"]
    moments: Float64[np.ndarray[Any, Any], "record moment"]
    unit: str


@functools.lru_cache(maxsize=2)
def read_records(home: Path, cache: Path) -> RecordArrays:
    """Read all records; the first call decodes them into the cache, 3 ms per record.

    Raises:
        DataError: If a file is missing, truncated or altered.
        StorageError: If the cache cannot be written to.
    """
    source = find_source(home)
    cached = cache / source_digest(source)
    with storage_errors(cache):
        if cached.is_dir():
            try:
                return _read_cache(cached)
            except (DataError, EOFError, ValueError, OSError):
                shutil.rmtree(cached)  # damaged, such as by a loss of power
        _write_cache(source, cached)
    return _read_cache(cached)


def _read_cache(cached: Path) -> RecordArrays:
    tables, moments = read_tables(cached), np.load(cached / "moments.npy")
    signals = np.load(cached / "signals.npy", mmap_mode="r")
    n_records = len(tables.records)
    if (signals.shape, moments.shape) != ((n_records, N_LEADS, LENGTH), (n_records, 2)):
        raise DataError(f"{cached} does not hold the {n_records} records of its table.")
    unit = json.loads((cached / "unit.json").read_text(encoding="utf-8"))
    return RecordArrays(tables=tables, signals=signals, moments=moments, unit=unit)


def _write_cache(source: Path, cached: Path) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cached.parent, prefix=f".{cached.name}.") as temporary:
        folder, decoded = source, Path(temporary) / "decoded"
        if not source.is_dir():
            folder = Path(temporary) / "files"
            unpack(source, folder, with_signals=True)
        decoded.mkdir()
        _decode(folder, decoded)
        for file in decoded.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        try:
            decoded.rename(cached)
        except OSError:
            if not cached.is_dir():  # else another process wrote the same content first
                raise


def _decode(folder: Path, decoded: Path) -> None:
    rows = read_tables(folder).records
    moments, units = np.empty((len(rows), 2)), set[str]()
    # Not memory-mapped: a write to a mapped file on a full disk would end the process.
    with (decoded / "signals.npy").open("wb") as file:
        shape = (len(rows), N_LEADS, LENGTH)
        layout = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, layout)
        for index, row in enumerate(rows):
            signal, own_units = _read_record(folder, row)
            file.write(signal.astype("<f4").tobytes())
            moments[index] = signal.mean(), np.square(signal).mean()
            units.update(own_units)
    np.save(decoded / "moments.npy", moments)
    (decoded / "unit.json").write_text(json.dumps(" and ".join(sorted(units))), encoding="utf-8")
    for table in (DATABASE, STATEMENTS):
        shutil.copyfile(folder / table, decoded / table)


def _read_record(
    folder: Path, row: RecordRow
) -> tuple[Float64[np.ndarray[Any, Any], "lead time"], tuple[str, ...]]:
    path = folder / row.path
    header = read_header(path)
    leads, length, rate_hz = len(header.leads), header.length, header.rate_hz
    if (leads, length, rate_hz) != (N_LEADS, LENGTH, RATE_HZ):
        raise DataError(
            f"{path} must hold {N_LEADS} × {LENGTH} numbers at {RATE_HZ} Hz, but holds {leads} × "
            f"{length} at {rate_hz:g} Hz; replace it by a fresh copy."
        )
    return read_signals(path, header, LEADS), header.units


_N_PUBLISHED = 21_799
# Those of folds 1 to 8 that have a label of the task.
_N_TRAINING: Mapping[Task, int] = MappingProxyType(
    {
        "all": 17_418,
        "diag": 17_084,
        "sub-diag": 17_084,
        "super-diag": 17_084,
        "form": 7197,
        "rhythm": 16_832,
    }
)
_VAL_FOLD, _TEST_FOLD = 9, 10


@record
class PtbXl(Dataset):
    """Electrocardiograms at 100 Hz, with the splits, labels and scaling of the benchmark.

    Folds 1–8 are for training, 9 for validation, 10 for the test; records without a label of the
    task are left out of all three. Training sees one random window of each record per epoch; an
    evaluation takes the highest logit over windows at a fixed stride. Signals are scaled to mean
    0 and variance 1 over all leads and times of all labeled training records, however few of
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
    window: Annotated[int, Field(ge=1, le=LENGTH)] = 250
    stride: Annotated[int, Field(ge=1, le=LENGTH)] = 125
    train_size: Size | None = None
    subset_seed: Seed = 0
    subset: Literal["fixed", "per_replica"] = "fixed"

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading."""
        return DatasetInfo(
            n_classes=N_CLASSES[self.task],
            input_shape=(N_LEADS, self.window),
            domain="series",
            is_multi_label=True,
        )

    @property
    def description(self) -> str:
        """The dataset with its task and the size of its training set, for results."""
        if self.train_size is None:
            return f"{self.name} ({self.task})"
        drawn = ", a subset per replica" if self.subset == "per_replica" else ""
        return f"{self.name} ({self.task}, {self.train_size} training samples{drawn})"

    @property
    def training_size(self) -> int:
        """Number of training records, if all that were published are there."""
        return self.train_size or _N_TRAINING[self.task]

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
        pool = _labeled(records.tables, labels).train
        scale = _mean_std(torch.from_numpy(records.moments)[pool])
        chosen = self._choose(records.tables, labels, replica_seed)
        train, val, test = (
            RecordSamples(
                signals=_standardized(records, indices, scale),
                targets=labels[indices],
                window=self.window,
                stride=self.stride,
            )
            for indices in (chosen.train, chosen.val, chosen.test)
        )
        return Splits(train=train, val=val, test=test)

    def provenance(self, folders: DataFolders) -> str | None:
        """Return how the data differ from the published ones; None if they do not.

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

    def _records(self, folders: DataFolders) -> RecordArrays:
        return read_records(dataset_folder(folders, self.name), folders.cache / self.name)

    def _labels(self, tables: Tables) -> Float[Tensor, "record classes"]:
        codes = [row.codes for row in tables.records]
        return label_matrix(codes, tables.statements, self.task)

    def _choose(self, tables: Tables, labels: Tensor, replica_seed: int) -> SplitIndices:
        found = _labeled(tables, labels)
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


def _labeled(tables: Tables, labels: Float[Tensor, "record classes"]) -> SplitIndices:
    # Records that have a label, by fold.
    fold = torch.tensor([row.fold for row in tables.records])
    fold[~labels.any(1)] = 0
    return SplitIndices(
        train=((fold > 0) & (fold < _VAL_FOLD)).nonzero().squeeze(1),
        val=(fold == _VAL_FOLD).nonzero().squeeze(1),
        test=(fold == _TEST_FOLD).nonzero().squeeze(1),
    )


def _mean_std(moments: Float[Tensor, "record moment"]) -> tuple[float, float]:
    mean, square = moments.mean(0).tolist()
    return mean, math.sqrt(square - mean**2)


def _standardized(
    records: RecordArrays, indices: Int[Tensor, " chosen"], scale: tuple[float, float]
) -> Float[Tensor, "chosen lead time"]:
    mean, std = scale
    return torch.from_numpy(records.signals[indices.numpy()]).sub_(mean).div_(std)
