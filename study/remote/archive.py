"""A folder as text, so that it passes through whatever text passes through."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import tarfile
import zlib
from pathlib import Path
from typing import Final

from study.records.errors import ReportError

_BEGIN: Final = "-----BEGIN FOLDER-----"
_END: Final = "-----END FOLDER-----"
_WIDTH: Final = 4096


def pack(folder: Path) -> str:
    """Write a folder's files as lines of text between two marks."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, str(path.relative_to(folder)), recursive=False)
    text = base64.b64encode(stream.getvalue()).decode()
    lines = [text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END])


def without_archive(text: str) -> str:
    """Return a text without the folder that :func:`pack` put into it."""
    before, begin, rest = text.partition(_BEGIN)
    return before + rest.partition(_END)[2].lstrip("\n") if begin else text


def unpack(text: str, folder: Path) -> None:
    """Write the files of a folder that is packed in a text; others there stay.

    Nothing is written outside the folder, whatever the text says.

    Raises:
        ReportError: If the text holds no whole folder, or it cannot be written.
    """
    packed = text.partition(_BEGIN)[2].partition(_END)
    try:
        if not packed[1]:
            raise ReportError(f"the report must arrive whole, but its end is missing in: {text}")
        # At once, and not by tarfile: its checksum is looked at only in the very end.
        content = gzip.decompress(base64.b64decode("".join(packed[0].split()), validate=True))
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            archive.extractall(folder, filter="data")
    except (binascii.Error, zlib.error, gzip.BadGzipFile, tarfile.TarError, EOFError) as error:
        raise ReportError(
            f"the report must arrive whole, but: {error}; ask for it again."
        ) from None
    except OSError as error:
        raise ReportError(
            f"the report must be written to {folder}, but: {error}; name another folder with --to."
        ) from None
