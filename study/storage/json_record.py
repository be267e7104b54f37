"""Small JSON files with a checksum: a record per file, checked whenever it is read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from study.records.errors import StoreError
from study.storage.atomic_write import write_atomic

_CHECKSUM: Final = "checksum"
_CHECKSUM_LENGTH: Final = 16
# No record of a study is as large; a file that is, is not read.
_MAX_BYTES: Final = 64 << 20

_T = TypeVar("_T")


class DamagedFileError(StoreError):
    """A file is not as this program wrote it."""


def checksum(content: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a content.

    Example:
        >>> checksum(b"")
        'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()[:_CHECKSUM_LENGTH]


def record_checksum(record: object) -> str:
    """Return the checksum that a record's file holds."""
    return checksum(_canonical(_fields(record)))


def write_record(path: Path, record: object) -> Path:
    """Write a pydantic dataclass durably as JSON; StoreError if the folder cannot be written."""
    fields = _fields(record)
    content = {**fields, _CHECKSUM: checksum(_canonical(fields))}
    return write_atomic(path, json.dumps(content, indent=2), is_durable=True)


def read_record(path: Path, kind: type[_T], remedy: str) -> _T:
    """Read a record of a pydantic dataclass.

    Args:
        path: Its file.
        kind: The class.
        remedy: What to do about a damaged file, for the message.

    Raises:
        FileNotFoundError: If there is no file.
        DamagedFileError: If the file is not as :func:`write_record` left it.
        StoreError: If it cannot be read.
    """
    try:
        fields = json.loads(_content(path))
        if not isinstance(fields, dict):
            raise ValueError(f"it holds {_kind_of(fields)}")
        written = fields.pop(_CHECKSUM, None)
        if written != checksum(_canonical(fields)):
            raise ValueError("its checksum is that of another content")
        return TypeAdapter(kind).validate_json(json.dumps(fields))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(
            f"{path} must be a file that can be read, but: {error.strerror}; give its owner the "
            "right to read it."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} must hold what this program wrote, but {_reason(error)}; {remedy}"
        ) from None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES >> 20} MiB")
    return content


def _fields(record: object) -> dict[str, Any]:
    fields: dict[str, Any] = TypeAdapter(type(record)).dump_python(record, mode="json")
    return fields


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True).encode()


def _kind_of(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}, not a mapping"


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not in UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno})"
    if isinstance(error, ValidationError):
        (first, *_) = error.errors()
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
