"""The signals of PTB-XL, decoded once and from then on read as they are needed."""

from __future__ import annotations

import functools
import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from trainables.datasets.ptbxl_files import find_source, identify, unpack
from trainables.datasets.ptbxl_tables import DATABASE, STATEMENTS, RecordRow, Tables, read_tables
from trainables.errors import DataError

N_LEADS, LENGTH, RATE_HZ = 12, 1000, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All records of one source.

    Attributes:
        tables: What is known of each, in the order of ``signals``.
        signals: Signals in ``unit``, mapped from the disk into memory.
        moments: Mean of each record over its leads and times, and mean of its squares.
        unit: Unit of the signals; mV as published.
    """

    tables: Tables
    signals: Float32[np.ndarray[Any, Any], "record lead time"]
    moments: Float64[np.ndarray[Any, Any], "record moment"]
    unit: str


@functools.lru_cache(maxsize=2)
def read_records(home: Path, cache: Path) -> Records:
    """Read all records; whoever is the first decodes them into the cache, 3 ms per record.

    Args:
        home: The dataset's folder in the data root.
        cache: Writable folder.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    source = find_source(home)
    kept = cache / identify(source)
    if not kept.is_dir():
        _keep(source, kept)
    return Records(
        tables=read_tables(kept),
        signals=np.load(kept / "signals.npy", mmap_mode="r"),
        moments=np.load(kept / "moments.npy"),
        unit=json.loads((kept / "unit.json").read_text(encoding="utf-8")),
    )


def _keep(source: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent, prefix=f".{kept.name}.") as temporary:
        folder, decoded = source, Path(temporary) / "decoded"
        if not source.is_dir():
            folder = Path(temporary) / "files"
            unpack(source, folder, with_signals=True)
        decoded.mkdir()
        _decode(folder, decoded)
        try:
            decoded.rename(kept)
        except OSError:
            if not kept.is_dir():  # else another process was faster, with the same content
                raise


def _decode(folder: Path, decoded: Path) -> None:
    rows = read_tables(folder).records
    signals = np.lib.format.open_memmap(
        decoded / "signals.npy", mode="w+", dtype=np.float32, shape=(len(rows), N_LEADS, LENGTH)
    )
    moments = np.empty((len(rows), 2))
    units: set[str] = set()
    for index, row in enumerate(rows):
        signal, own_units = _read_record(folder, row)
        signals[index] = signal
        moments[index] = signal.mean(), np.square(signal).mean()
        units.update(own_units)
    signals.flush()
    np.save(decoded / "moments.npy", moments)
    (decoded / "unit.json").write_text(json.dumps(" and ".join(sorted(units))), encoding="utf-8")
    for table in (DATABASE, STATEMENTS):
        shutil.copyfile(folder / table, decoded / table)


def _read_record(
    folder: Path, row: RecordRow
) -> tuple[Float64[np.ndarray[Any, Any], "lead time"], list[str]]:
    with warnings.catch_warnings():
        # While it is imported, wfdb 4.3 uses a keyword that pandas 3.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb
    path = folder / row.path
    try:
        record = wfdb.rdrecord(str(path))
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing, but {DATABASE} names it.") from error
    # What wfdb raises for truncated or altered headers and signals.
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); replace it by a fresh copy.") from error
    signal = record.p_signal.T
    if signal.shape != (N_LEADS, LENGTH) or record.fs != RATE_HZ or np.isnan(signal).any():
        leads, length = signal.shape
        raise DataError(
            f"{path} must hold {N_LEADS} × {LENGTH} numbers at {RATE_HZ} Hz, but holds {leads} × "
            f"{length} at {record.fs} Hz, {np.isnan(signal).sum()} of which are missing; replace "
            "it by a fresh copy."
        )
    return signal, record.units
