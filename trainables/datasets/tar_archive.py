"""Files in a compressed tar archive, read without unpacking it."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from trainables.errors import DataError


def archived_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Give path and content of all files in a ``.tar.gz`` archive, in its order.

    All of it is decompressed first, into memory, so that its own checksum is compared.

    Raises:
        DataError: If the archive is truncated or altered.
    """
    try:
        content = io.BytesIO(gzip.decompress(archive.read_bytes()))
        with tarfile.open(fileobj=content, mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None:
                    yield member.name, stream.read()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{archive} is damaged ({error}); replace it by a fresh copy.") from error
