"""Paths of a user's data in study files: relative ones belong to the folder of the study file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from trainables.names import printable
from trainables.runtime.storage_errors import atomic_file

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def paths_relative_to(folder: Path | None) -> Iterator[None]:
    """Resolve relative paths of settings that are decoded inside against a folder.

    None is the working folder.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


_ORIGIN = "study_folder.txt"


def save_study_folder(copies: Path, folder: Path | None) -> None:
    """Write down, beside a study's copies, the folder to which its relative paths belong."""
    if not (copies / _ORIGIN).exists():
        copies.mkdir(parents=True, exist_ok=True)
        with atomic_file(copies / _ORIGIN) as file:
            file.write(str((folder or Path.cwd()).absolute()).encode())


def study_folder(folder: Path | None) -> Path | None:
    """Return the folder to which relative paths belong, given a study file's or its copies'."""
    origin = None if folder is None else folder / _ORIGIN
    if origin is None or not origin.is_file():
        return folder
    return Path(origin.read_text(encoding="utf-8"))


def absolute_path(path: str) -> str:
    """Return a path of a study file as an absolute one.

    Raises:
        ValueError: If it holds a NUL.
    """
    if "\0" in path:
        raise ValueError(f"must be a path, got {printable(path)!r}")
    return os.path.abspath((_folder.get() or Path.cwd()) / Path(path).expanduser())


UserPath: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(absolute_path)
]
"""A path; it is absolute once it is decoded, so that every process finds the same file."""
