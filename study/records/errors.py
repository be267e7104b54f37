"""The errors that a study raises on purpose.

StudyError
├── SpecError          the study file is wrong, or differs from the one the study began with
├── StoreError         the storage folder or the database cannot be used
├── BusyError          another process runs this study
├── ReportError        too few trials or replicas for the analysis that was asked for
├── DownloadError      a file of a dataset cannot be fetched, read or kept (study/data/http_download.py)
└── TrackingError      the tracking server's address is unusable
"""


class StudyError(Exception):
    """Root of this package's errors: the command line shows one message and exits with 2."""


class SpecError(StudyError):
    """The study file is wrong, or differs from the one the study began with."""


class StoreError(StudyError):
    """The storage folder or the database cannot be used."""


class BusyError(StudyError):
    """Another process runs this study."""


class ReportError(StudyError):
    """Too few trials or replicas for the analysis that was asked for."""


class TrackingError(StudyError):
    """The tracking server's address is unusable."""
