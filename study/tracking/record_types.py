"""The records that MLflow can hold: one class per kind, and their JSON."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

RunStatus: TypeAlias = Literal["FINISHED", "FAILED", "KILLED"]
Cell: TypeAlias = str | int | float | bool | None

# These would have to be escaped in the search by which a run is found again, which MLflow's
# filter language cannot do.
_UNSEARCHABLE: Final = re.compile(r"['\"`\\\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """The dataset that a run was trained on, as MLflow's dataset column shows it.

    Attributes:
        name: Name of the dataset.
        digest: Short hash of what was used of it, at most 36 characters.
        source: Where it comes from, for people.
    """

    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """Create a run, once.

    Attributes:
        run_key: Name of the run that is stable over restarts: ``trial/<arm>/<phase>/<number>``.
        parent_key: Key of the parent run, or None.
        name: Name of the run for people.
        start_ms: When it began, in milliseconds since 1970.
        params: Settings.
        tags: Labels.
        dataset: Dataset input, or None.
    """

    run_key: str
    parent_key: str | None
    name: str
    start_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: DatasetInput | None

    def __post_init__(self) -> None:
        """Refuse a key that could not be searched for, and a run that is its own parent."""
        if not self.run_key or _UNSEARCHABLE.search(self.run_key):
            raise ValueError(
                f"OpenRun: run_key must be text without quotes, backslashes and control "
                f"characters, got {self.run_key!r}; make it with tracking.arm_key or trial_key"
            )
        if self.parent_key == self.run_key:
            raise ValueError(f"OpenRun: {self.run_key!r} must not be its own parent_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMetrics:
    """Add one point to each metric of a run.

    Attributes:
        run_key: The run.
        epoch: Epochs trained so far; MLflow's step.
        time_ms: When the report arrived, in milliseconds since 1970. It is part of a point's
            identity in MLflow: the same point sent twice is stored once.
        metrics: Metric key to a finite value.
        name: Distinguishes two records of one run and epoch.
    """

    run_key: str
    epoch: int
    time_ms: int
    metrics: Mapping[str, float]
    name: str = "report"

    def __post_init__(self) -> None:
        """Refuse what is not finite: MLflow would store infinity as 1.8e308."""
        for key, value in self.metrics.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"LogMetrics: {key} of {self.run_key} at epoch {self.epoch} must be finite, "
                    f"got {value}; leave it out"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRun:
    """End a run. A second close with another content (a study that went on) replaces the first.

    Attributes:
        run_key: The run.
        status: MLflow's status.
        end_ms: When it ended, in milliseconds since 1970.
        tags: Labels that are known only now.
    """

    run_key: str
    status: RunStatus
    end_ms: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArtifact:
    """Copy a local file into a run.

    Attributes:
        run_key: The run.
        path: The file, absolute.
        artifact_folder: Folder inside the run's artifacts; empty for their root.
    """

    run_key: str
    path: str
    artifact_folder: str

    def __post_init__(self) -> None:
        """Refuse a relative path: another process sends it, maybe from another folder."""
        if not Path(self.path).is_absolute():
            raise ValueError(f"LogArtifact: path must be absolute, got {self.path!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTable:
    """Store a table as an artifact that MLflow shows as a table.

    Attributes:
        run_key: The run.
        name: File name inside the run's artifacts, ending in ``.json``.
        columns: Column name to its cells; all of one length. A missing cell is None.
    """

    run_key: str
    name: str
    columns: Mapping[str, Sequence[Cell]]

    def __post_init__(self) -> None:
        """Refuse ragged columns and a name that MLflow would not show as a table."""
        if not self.name.endswith(".json"):
            raise ValueError(f"LogTable: name must end in .json, got {self.name!r}")
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"LogTable: columns of {self.name} differ in length: {lengths}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNote:
    """Set the description of a run, or of the experiment where ``run_key`` is None."""

    run_key: str | None
    markdown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTags:
    """Set labels of a run, or of the experiment where ``run_key`` is None."""

    run_key: str | None
    tags: Mapping[str, str]


MlflowRecord: TypeAlias = (
    OpenRun | LogMetrics | CloseRun | LogArtifact | LogTable | SetNote | SetTags
)

_KINDS: Final[Mapping[str, type[MlflowRecord]]] = {
    "artifact": LogArtifact,
    "close": CloseRun,
    "metrics": LogMetrics,
    "note": SetNote,
    "open": OpenRun,
    "table": LogTable,
    "tags": SetTags,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


def kind(record: MlflowRecord) -> str:
    """Return the name of a record's type, as it is stored."""
    return _NAMES[type(record)]


def part(record: MlflowRecord) -> str:
    """Return what a record is about within its run and kind: the last component of its key."""
    match record:
        case LogMetrics():
            return f"{record.epoch} {record.name}"
        case LogArtifact():
            return f"{record.artifact_folder}/{Path(record.path).name}"
        case LogTable():
            return record.name
        case SetTags():
            return " ".join(sorted(record.tags))
        case _:
            return ""


def encode(record: MlflowRecord) -> str:
    """Write a record as JSON; ValueError for a number that is not finite."""
    # Not asdict of the whole, which copies every value: a large study has a million.
    content = {field.name: getattr(record, field.name) for field in fields(record)}
    return json.dumps(content, sort_keys=True, allow_nan=False, default=asdict)


def decode(kind: str, payload: str) -> MlflowRecord:
    """Read a record; the inverse of ``encode``.

    >>> note = SetNote(run_key=None, markdown="# Tiny")
    >>> decode("note", encode(note)) == note
    True
    """
    fields: dict[str, Any] = json.loads(payload)
    if kind == "open" and fields["dataset"] is not None:
        fields["dataset"] = DatasetInput(**fields["dataset"])
    return _KINDS[kind](**fields)


def digest(record: MlflowRecord, payload: str) -> str:
    """Hash a record's content, a file's bytes included; FileNotFoundError if it is absent.

    Args:
        record: The record.
        payload: What ``encode`` gives for it.
    """
    content = hashlib.sha256(payload.encode())
    if isinstance(record, LogArtifact):
        content.update(Path(record.path).read_bytes())
    return content.hexdigest()
