"""The folder of a local Ray: sockets, logs and spilled objects, for its user alone.

Ray's folder has mode 0777, and an account that writes there may run code in Ray's processes. So it
is inside a folder of mode 0700 with a random name, which no account can create before.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError

# Linux takes 107 bytes for the path of a socket.
_LONGEST: Final = 107
# The longest path below our folder.
_BELOW: Final = "/r/session_2026-11-30_23-00-40_472394_4194304/sockets/plasma_store"
_NAME: Final = "ray-xxxxxxxx"


@contextmanager
def ray_folder() -> Iterator[Path]:
    """Create a folder for one Ray, and delete it afterwards with its content.

    It is in ``RAY_TMPDIR`` or ``TMPDIR`` if paths of sockets in it are short enough for Linux,
    otherwise in ``/tmp``.

    Yields:
        Ray's folder for temporary files.

    Raises:
        ClusterError: If no folder can be created.
    """
    folder = _new_folder((os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR"), "/tmp"))
    try:
        yield folder / "r"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(places: Sequence[str | None]) -> Path:
    reasons = []
    for place in filter(None, places):
        if len(os.fsencode(os.path.join(os.path.abspath(place), _NAME))) + len(_BELOW) > _LONGEST:
            reasons.append(f"{place} is too long for the paths of sockets in it")
            continue
        try:
            # Of mode 0700.
            return Path(tempfile.mkdtemp(prefix="ray-", dir=os.path.abspath(place)))
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
    raise ClusterError(
        f"Ray needs a folder for its sockets, but none can be created ({'; '.join(reasons)}); "
        "name a short writable one by TMPDIR."
    )
