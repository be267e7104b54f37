"""What may go wrong on the way from a source to the data root.

StudyError
└── DownloadError      a file of a dataset cannot be fetched, read or kept
"""

from __future__ import annotations

from pathlib import Path

from study.errors import StudyError


class DownloadError(StudyError):
    """A file of a dataset cannot be fetched, read or kept."""


def not_writable(path: Path, error: OSError) -> DownloadError:
    """Say that the disk refused a file, and why."""
    return DownloadError(
        f"{path} must be writable, but is not ({error.strerror or error}); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )
