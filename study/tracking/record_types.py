"""The records that MLflow can hold: one class per kind, and their JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
)
from pydantic.dataclasses import dataclass

RunStatus: TypeAlias = Literal["FINISHED", "FAILED", "KILLED"]
Cell: TypeAlias = str | int | float | bool | None

TAG_LENGTH: Final = 8000
"""MLflow's limit for a tag."""
EXPERIMENT_ID: Final = "{experiment_id}"
"""Stands for MLflow's id of the experiment in a tag of its own, until it is sent."""
_NOTE: Final = "mlflow.note.content"


def _require_absolute(path: str) -> str:
    """Refuse a relative path: another process sends the file, maybe from another folder."""
    if not Path(path).is_absolute():
        raise ValueError("must be absolute")
    return path


def _require_equal_lengths(columns: Mapping[str, Sequence[Cell]]) -> Mapping[str, Sequence[Cell]]:
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns must be of one length, got {lengths}")
    return columns


# Terminal escapes and NUL are no text: PostgreSQL refuses it, for ever. Nor are lone surrogates.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


_Text: TypeAlias = Annotated[str, BeforeValidator(_printable)]

# Quotes and backslashes would have to be escaped in the search by which a run is found again,
# which MLflow's filter language cannot do.
_RunKey: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^'\"`\\\x00-\x1f]+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """The dataset that a run was trained on, as MLflow's dataset column shows it.

    Attributes:
        name: Name of the dataset.
        digest: Short hash of what was used of it, at most 36 characters.
        source: Where it comes from, for people.
    """

    name: _Text
    digest: str
    source: _Text


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

    run_key: _RunKey
    parent_key: str | None
    name: _Text
    start_ms: int
    params: Mapping[str, _Text]
    tags: Mapping[str, _Text]
    dataset: DatasetInput | None
    kind: Literal["open"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMetrics:
    """Add one point to each metric of a run.

    Attributes:
        run_key: The run.
        epoch: Epochs trained so far; MLflow's step.
        time_ms: When the report arrived, in milliseconds since 1970. It is part of a point's
            identity in MLflow: the same point sent twice is stored once.
        metrics: Metric key to a finite value; MLflow would store infinity as 1.8e308.
        name: Distinguishes two records of one run and epoch.
    """

    run_key: str
    epoch: int
    time_ms: int
    metrics: Mapping[str, FiniteFloat]
    name: str = "report"
    kind: Literal["metrics"] = "metrics"


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
    tags: Mapping[str, _Text]
    kind: Literal["close"] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArtifact:
    """Copy a local file into a run.

    Attributes:
        run_key: The run.
        path: The file, absolute.
        artifact_folder: Folder inside the run's artifacts; empty for their root.
    """

    run_key: str
    path: Annotated[str, AfterValidator(_require_absolute)]
    artifact_folder: str
    kind: Literal["artifact"] = "artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTable:
    """Store a table as an artifact that MLflow shows as a table.

    Attributes:
        run_key: The run.
        name: File name inside the run's artifacts, ending in ``.json``, or MLflow shows no table.
        columns: Column name to its cells; all of one length. A missing cell is None.
    """

    run_key: str
    name: Annotated[str, StringConstraints(pattern=r"\.json$")]
    columns: Annotated[Mapping[str, Sequence[Cell]], AfterValidator(_require_equal_lengths)]
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTags:
    """Set labels of a run, or of the experiment where ``run_key`` is None."""

    run_key: str | None
    tags: Mapping[str, _Text]
    kind: Literal["tags"] = "tags"


MlflowRecord: TypeAlias = OpenRun | LogMetrics | CloseRun | LogArtifact | LogTable | SetTags
_RECORD: Final = TypeAdapter[MlflowRecord](Annotated[MlflowRecord, Field(discriminator="kind")])


# An angle bracket that no backslash escapes.
_TAG_OPENING: Final = re.compile(r"(?<!\\)((?:\\\\)*)<")


def note(run_key: str | None, markdown: str) -> SetTags:
    """Describe a run, or the experiment where ``run_key`` is None, cut to what MLflow keeps.

    Markup that is not Markdown is text: a name of the user's may hold some.
    """
    markdown = _TAG_OPENING.sub(r"\1&lt;", markdown.replace("\r\n", "\n"))
    if len(markdown) > TAG_LENGTH:
        ending = "\n\n… (cut here; the whole text is among the artifacts)"
        markdown = markdown[: TAG_LENGTH - len(ending)] + ending
    return SetTags(run_key=run_key, tags={_NOTE: markdown})


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
    """Write a record as JSON."""
    return _RECORD.dump_json(record).decode()


def decode(payload: str) -> MlflowRecord:
    """Read a record; the inverse of ``encode``.

    >>> record = note(None, "# Tiny")
    >>> decode(encode(record)) == record
    True
    """
    return _RECORD.validate_json(payload)


def digest(record: MlflowRecord, payload: str) -> str:
    """Hash a record and its JSON, a file's bytes included; FileNotFoundError if it is absent."""
    content = hashlib.sha256(payload.encode())
    if isinstance(record, LogArtifact):
        content.update(Path(record.path).read_bytes())
    return content.hexdigest()
