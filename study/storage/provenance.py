"""What the data root really held when a study began; every result says it.

A data root may hold a subset of a dataset, or processed records, under the dataset's own name. A
study keeps what its datasets say of that, and refuses to go on with other data: its trials could
no longer be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from study.records.errors import SpecError
from study.storage.atomic_write import write_atomic
from trainables.datasets import DataFolders, DatasetConfig

# Name of a dataset to what a result must say of it; None if it is as published.
Provenance: TypeAlias = Mapping[str, str | None]


def provenance_of(datasets: Iterable[DatasetConfig], folders: DataFolders) -> Provenance:
    """Ask each dataset what is at hand of it; reads, and decodes into the cache, what it must.

    Raises:
        DataError: If a file is damaged.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    return {name: dataset.provenance(folders) for name, dataset in by_name.items()}


def read_provenance(path: Path) -> Provenance:
    """Read what a study keeps; nothing if there is no file."""
    if not path.exists():
        return {}
    kept: dict[str, str | None] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def check_provenance(path: Path, found: Provenance, where: str) -> None:
    """Refuse data that differs from what the study began with.

    Args:
        path: Where the study keeps it.
        found: What is at hand now.
        where: The study file, for the message.

    Raises:
        SpecError: Naming the first dataset that differs.
    """
    kept = read_provenance(path)
    for name, now in found.items():
        if name in kept and kept[name] != now:
            raise SpecError(
                f"{where}: study {path.parent.name!r} was begun with "
                f"{with_provenance(name, kept[name] or 'as published')}, but the data root now "
                f"holds {with_provenance(name, now or 'as published')}; name the data root that "
                "it was begun with, or give the study another name."
            )


def write_provenance(path: Path, found: Provenance) -> None:
    """Keep what is at hand, beside what is kept already."""
    write_atomic(path, json.dumps({**read_provenance(path), **found}, indent=2, sort_keys=True))


def with_provenance(description: str, note: str | None) -> str:
    """Name a dataset with what is at hand of it, for results.

    Example:
        >>> with_provenance("ptbxl (form)", "subset of 40 of 21,799 records")
        'ptbxl (form; subset of 40 of 21,799 records)'
    """
    if note is None:
        return description
    if description.endswith(")"):
        return f"{description[:-1]}; {note})"
    return f"{description} ({note})"
