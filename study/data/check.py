"""What the data root holds of a dataset, and whether the dataset can be used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from study.data.finding import Finding, State, examine
from trainables.datasets import DATASETS, DataFolders
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.glove import check_glove, find_glove
from trainables.datasets.sources import SourceFile, files_of
from trainables.errors import TrainableError


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """One dataset as it was found.

    Attributes:
        name: Its name.
        files: Its published files, and those of the sources that it needs.
        others: What else is in its folder, of which nothing is known.
        problem: Why it cannot be used with its default settings, or None if it can.
    """

    name: str
    files: tuple[Finding, ...]
    others: tuple[str, ...]
    problem: str | None


def check(name: str, root: Path | None) -> DatasetCheck:
    """Look at the files of a dataset, and let the dataset itself judge them.

    A dataset may be usable without all of its published files: with some of them unpacked, or
    with fewer than all, or with others. A damaged file is a problem even so.

    Raises:
        DataError: If the dataset has files and there is no data root.
        DownloadError: If a file is there and may not be read.
    """
    # A check writes nothing; what did all the same would be gone at once.
    with tempfile.TemporaryDirectory() as cache:
        folders = DataFolders(root=root, cache=Path(cache))
        sources = files_of(name)
        if not sources:
            problem = _problem(name, folders, ())
            return DatasetCheck(name=name, files=(), others=(), problem=problem)
        home = dataset_folder(folders, name)
        files = tuple(examine(home.parent / file.path, file) for file in sources)
        problem = _problem(name, folders, files)
    return DatasetCheck(name=name, files=files, others=_others(home, sources), problem=problem)


def _problem(name: str, folders: DataFolders, files: Iterable[Finding]) -> str | None:
    # A dataset may look at less of a file than all, and what has no reader is its files.
    bad: tuple[State, ...] = ("damaged",)
    try:
        if name in DATASETS:
            DATASETS[name]().check(folders)
        elif name == "glove":
            check_glove(find_glove(folders))
        else:
            bad = ("damaged", "different", "missing")
    except TrainableError as error:
        return str(error)
    for file in files:
        if file.state in bad:
            remedy = f"fetch it with 'challenger-study data fetch {name}'."
            return f"{file.path} is {file.verdict}; {remedy}"
    return None


def _others(home: Path, sources: Iterable[SourceFile]) -> tuple[str, ...]:
    # One level is enough to see an unpacked archive or a part; below it may be thousands.
    known = {home.parent / file.path for file in sources}
    known |= {folder for path in known for folder in path.parents}
    found = sorted(home.iterdir()) if home.is_dir() else []
    return tuple(str(path.relative_to(home.parent)) for path in found if path not in known)
