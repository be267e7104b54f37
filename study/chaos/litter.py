"""Files that must not be there when a study has ended: left-overs, and secrets in any file."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from study.store.folder import StudyFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Litter:
    """Paths relative to the study's folder.

    Attributes:
        checkpoints: Checkpoints, with whether they are whole.
        temporary: Files that were to be renamed into place and never were.
    """

    checkpoints: Mapping[str, bool]
    temporary: tuple[str, ...]


def find_litter(folder: StudyFolder) -> Litter:
    """Look for left-overs in a study's folder, but for Ray's scratch, which nobody reads."""
    files = [path for path in _files(folder.path) if folder.ray not in path.parents]
    return Litter(
        checkpoints={
            str(path.relative_to(folder.path)): _is_whole(path)
            for path in files
            if path.suffix == ".pt" and not path.name.startswith(".")
        },
        temporary=tuple(
            str(path.relative_to(folder.path)) for path in files if path.name.startswith(".")
        ),
    )


def find_leaks(roots: Iterable[Path], secrets: Iterable[str]) -> tuple[str, ...]:
    """Name the files below some folders in which a secret stands; costs reading all of them."""
    sought = [secret.encode() for secret in secrets if secret]
    found = []
    for root in roots:
        for path in _files(root):
            # A log of Ray's may be gone by now, and a socket is no file.
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if any(secret in content for secret in sought):
                    found.append(str(path))
    return tuple(found)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())


def _is_whole(checkpoint: Path) -> bool:
    digest = checkpoint.stem.rpartition("-")[2]
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()[: len(digest)] == digest
