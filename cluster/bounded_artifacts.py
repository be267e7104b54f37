"""Artifact repositories of MLflow's server that stay inside the server's own artifact root.

MLflow opens whatever location an experiment, a run, a model version or a trace names, with the
server's rights. Here a location is opened only if it is in the root with all symbolic links
resolved; other schemes (``http``, ``sftp``, ``s3``, …) are refused. This applies to new
experiments and to locations that are already in the database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repository_registry import (
    _artifact_repository_registry,
    get_registered_artifact_repositories,
)
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.file_utils import local_file_uri_to_path

# Schemes that MLflow itself resolves to one of the others, which is then checked.
_REFERENCES: Final = frozenset({"runs", "models"})
_LOCAL: Final = frozenset({"", "file"})


class OutsideArtifactRoot(MlflowException):
    """A location outside the server's artifact root; HTTP status 400."""

    def __init__(self, what: str) -> None:
        """Name the location as requested."""
        super().__init__(
            f"{what} must lie in this server's artifact root, and no symbolic link may lead out "
            "of it; leave the location out.",
            error_code=INVALID_PARAMETER_VALUE,
        )


class BoundedArtifactRepository(LocalArtifactRepository):
    """Files below one folder, whose links must stay inside."""

    root: Path

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        """Open a folder at or below the root.

        Raises:
            OutsideArtifactRoot: If it is elsewhere.
        """
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        _require_inside(self.artifact_dir, self.root)

    def get_local_path(self, artifact_path: str) -> str:
        """Return the path of a file."""
        return _require_inside(super().get_local_path(artifact_path), self.root)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return the content of a folder without links that lead out."""
        self._require(path)
        stock: Any = super()
        found: Iterable[FileInfo] = stock.list_artifacts(path)
        return [each for each in found if _is_inside(self._path(each.path), self.root)]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file or a folder; of a link, the link."""
        self._require(os.path.dirname(artifact_path) if artifact_path else None)
        path = self._path(artifact_path)
        if os.path.islink(path):
            os.unlink(path)
        else:
            stock: Any = super()
            stock.delete_artifacts(artifact_path)

    def download_trace_data(self) -> dict[str, Any]:
        """Return a trace's data."""
        for each in os.listdir(self.artifact_dir) if os.path.isdir(self.artifact_dir) else ():
            self._require(each)
        data: dict[str, Any] = super().download_trace_data()
        return data

    def _get_or_create_artifact_dir(self, artifact_path: str | None = None) -> str:
        self._require(artifact_path)
        return str(super()._get_or_create_artifact_dir(artifact_path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._require(remote_file_path)
        stock: Any = super()
        stock._download_file(remote_file_path, local_path)

    def _path(self, artifact_path: str | None) -> str:
        return os.path.join(self.artifact_dir, os.path.normpath(artifact_path or "."))

    def _require(self, artifact_path: str | None) -> None:
        _require_inside(self._path(artifact_path), self.root)


def bind_artifacts(destination: str, is_admin: Callable[[], bool]) -> None:
    """Bind all artifacts of this process's MLflow server to one root, for as long as it lives.

    Args:
        destination: Root of the server's artifacts: a folder, ``file:`` or a remote store.
        is_admin: Returns whether the administrator sends the request; others may name no
            location, which could be that of another user's experiment.
    """
    # MLflow annotates the factories by their products.
    stocks: dict[str, Any] = {**get_registered_artifact_repositories()}
    for scheme, stock in stocks.items():
        if scheme not in _REFERENCES:
            _artifact_repository_registry.register(scheme, _bounded(stock, destination))
    stock_check = handlers._validate_artifact_uri_scheme

    def check(uri: str, field_name: str) -> None:
        stock_check(uri, field_name)
        if field_name == "artifact_location" and not is_admin():
            raise OutsideArtifactRoot(f"{field_name} {uri!r} is the administrator's to name and")
        _require_location(uri, field_name, destination)

    handlers._validate_artifact_uri_scheme = check


def _bounded(stock: Callable[..., Any], destination: str) -> Callable[..., Any]:
    """Return the factory of repositories for MLflow's registry."""

    class Repository(BoundedArtifactRepository):
        root = _folder(destination)

    def open_location(
        artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> object:
        if urlsplit(artifact_uri).scheme.lower() in _LOCAL:
            return Repository(artifact_uri, tracking_uri, registry_uri)
        if _is_remote_inside(artifact_uri, destination):
            return stock(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)
        raise OutsideArtifactRoot(artifact_uri)

    return open_location


def _require_location(uri: str, field: str, destination: str) -> None:
    """Raise if a new experiment or model names a location that could never be opened."""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    if scheme == "mlflow-artifacts":
        # Without a host it is this server, which checks the path when it opens it.
        is_inside = not parts.netloc and ".." not in unquote(parts.path).split("/")
    elif scheme in _LOCAL:
        is_inside = _is_inside(local_file_uri_to_path(uri), _folder(destination))
    else:
        is_inside = scheme in _REFERENCES or _is_remote_inside(uri, destination)
    if not is_inside:
        raise OutsideArtifactRoot(f"{field} {uri!r}")


def _folder(destination: str) -> Path:
    """Return the root as a folder; for a remote root one that contains nothing."""
    is_local = urlsplit(destination).scheme.lower() in _LOCAL
    return Path(local_file_uri_to_path(destination)) if is_local else Path(os.devnull)


def _is_remote_inside(uri: str, destination: str) -> bool:
    if urlsplit(destination).scheme.lower() in _LOCAL:
        return False
    root = destination.rstrip("/") + "/"
    return f"{uri}/".startswith(root) and ".." not in unquote(uri).split("/")


def _is_inside(path: str, root: Path) -> bool:
    real = os.path.realpath(root)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def _require_inside(path: str, root: Path) -> str:
    if not _is_inside(path, root):
        raise OutsideArtifactRoot("an artifact")
    return path
