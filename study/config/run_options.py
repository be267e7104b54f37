"""Options of a run: storage, data, database, tracking and executor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from study.records.errors import StoreError, mask_passwords
from study.storage.layout import StorageRoot
from study.storage.sqlite import sqlite_path, sqlite_url
from trainables.datasets import DataFolders


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run, which are no part of the study file.

    Attributes:
        storage: Where studies are kept.
        data_root: Absolute path of the data root, or None.
        database: URL of the Optuna database, or None for a file in the storage root.
        tracking_uri: MLflow's address, or None for a database in the storage root.
        executor: ``ray`` or ``inline``.
        address: Address of a running Ray, or None for one of the study's own.
        is_job: Whether the run was submitted to a cluster, by somebody who is told before the
            first trial what is not in order there.
    """

    storage: StorageRoot
    data_root: Path | None = None
    database: str | None = None
    tracking_uri: str | None = None
    executor: str = "ray"
    address: str | None = None
    is_job: bool = False

    @property
    def data(self) -> DataFolders:
        """Folders from which data is read."""
        return DataFolders(root=self.data_root, cache=self.storage.cache)

    @property
    def database_url(self) -> str:
        """URL of the Optuna database."""
        return self.database or self.storage.database_url

    @property
    def tracking(self) -> str:
        """MLflow's address."""
        return self.tracking_uri or sqlite_url(self.storage.tracking_database)

    def require_separate_databases(self) -> None:
        """Raise a StoreError if Optuna and MLflow would share a database, or it is no file."""
        if self.database is not None and _place(self.database) == ("sqlite", None):
            raise StoreError(
                "--database must be a file or a server, which outlive the run, got "
                f"{self.database!r}; give it a path, sqlite:////folder/optuna.db."
            )
        if _place(self.database_url) == _place(self.tracking):
            raise StoreError(
                f"{mask_passwords(self.database_url)} must be the database of Optuna alone, but "
                "is that of MLflow too, whose tables have the same names; name another one by "
                "--database or --tracking-uri."
            )


def _place(url: str) -> tuple[object, ...]:
    """Return what distinguishes a database from others, the same for every user."""
    if url.startswith("sqlite"):
        path = sqlite_path(url)
        return ("sqlite", None if path is None else path.resolve())
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        # Refused where it is opened.
        return (url,)
    return (parts.get_backend_name(), parts.host, parts.port, parts.database)
