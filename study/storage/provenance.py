"""Provenance of the datasets of a study, stored when it starts and shown with every result.

A data root may hold a subset of a dataset, or processed records, under the dataset's own name. A
study does not continue with other data than it began with: its trials could not be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import pydantic.dataclasses

from study.records.errors import SpecError
from study.storage.json_record import read_record, write_record
from trainables.datasets import DataFolders, DatasetConfig

# Dataset to the note that its results must show; None if it is as published.
Provenance: TypeAlias = Mapping[str, str | None]


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _StoredProvenance:
    datasets: Mapping[str, str | None]


def provenance_of(datasets: Iterable[DatasetConfig], folders: DataFolders) -> Provenance:
    """Return each dataset's provenance; reads, and decodes into the cache, what that needs.

    Raises:
        DataError: If a file is damaged.
    """
    by_name = {dataset.source_name: dataset for dataset in datasets}
    return {name: dataset.provenance(folders) for name, dataset in by_name.items()}


def read_provenance(path: Path) -> Provenance:
    """Read the stored provenance; empty if there is no file, StoreError if it is damaged."""
    remedy = f"'repair {path.parent.name}' removes it, and the next run writes that of its data."
    try:
        return read_record(path, _StoredProvenance, remedy).datasets
    except FileNotFoundError:
        return {}


def check_provenance(path: Path, found: Provenance, where: str) -> None:
    """Raise a SpecError for the first dataset that differs from what the study began with.

    Args:
        path: The stored provenance.
        found: The present one.
        where: The study file, for the message.
    """
    stored = read_provenance(path)
    for name, now in found.items():
        if name in stored and stored[name] != now:
            raise SpecError(
                f"{where}: study {path.parent.name!r} was begun with "
                f"{with_provenance(name, stored[name] or 'as published')}, but the data root now "
                f"holds {with_provenance(name, now or 'as published')}; name the data root that "
                "it was begun with, or give the study another name."
            )


def write_provenance(path: Path, found: Provenance) -> None:
    """Add to the stored provenance, durably."""
    write_record(path, _StoredProvenance(datasets={**read_provenance(path), **found}))


def with_provenance(description: str, note: str | None) -> str:
    """Return a dataset's description with its provenance.

    Example:
        >>> with_provenance("ptbxl (form)", "subset of 40 of 21,799 records")
        'ptbxl (form; subset of 40 of 21,799 records)'
    """
    if note is None:
        return description
    if description.endswith(")"):
        return f"{description[:-1]}; {note})"
    return f"{description} ({note})"
