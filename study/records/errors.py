"""The errors that a study raises on purpose, and the masking of passwords in their messages.

StudyError
├── SpecError          the study file is wrong, or differs from the one the study began with
├── StoreError         the storage folder or the database cannot be used
├── BusyError          another process runs this study
├── ReportError        too few trials or replicas for the requested analysis
├── DownloadError      a dataset's file cannot be fetched or read (study/data/http_download.py)
└── TrackingError      the tracking server's address is unusable
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class StudyError(Exception):
    """Root of this package's errors: the command line shows one message and exits with 2."""


class SpecError(StudyError):
    """The study file is wrong, or differs from the one the study began with."""


class StoreError(StudyError):
    """The storage folder or the database cannot be used."""


class BusyError(StudyError):
    """Another process runs this study."""


class ReportError(StudyError):
    """Too few trials or replicas for the requested analysis."""


class TrackingError(StudyError):
    """The tracking server's address is unusable."""


def mask_passwords(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask passwords in a text that may quote a URL.

    Args:
        text: A message.
        secrets: Known passwords, masked wherever they occur.

    Example:
        >>> mask_passwords("no answer from postgresql+psycopg://me:p@ss@db:5432/mlflow")
        'no answer from postgresql+psycopg://me:***@db:5432/mlflow'
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(\w[\w+.-]*://[^/\s:@]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)\b((?:ssl)?password|token)=[^&\s'\"]+", r"\1=***", text)
