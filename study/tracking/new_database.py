"""MLflow's database in a file, made whole or not at all.

MLflow makes its tables one by one and then changes them step by step, for seconds. A process that
is killed meanwhile would leave a file that no MLflow opens again, and two that begin at the same
moment would stand in each other's way. So the tables are made in a file beside it, which then gets
its name at once, by one process at a time.
"""

from __future__ import annotations

import fcntl
import importlib
from pathlib import Path
from typing import Final

_SQLITE: Final = "sqlite:///"


def make_if_missing(uri: str, artifacts: Path) -> None:
    """Make the database of an address, if that is a file which is not there.

    Args:
        uri: Address of the tracking store.
        artifacts: Folder of artifacts that the store names for experiments of its own.

    Raises:
        OSError: If the folder cannot be written to.
    """
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or path.exists():
        return
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        # The operating system lets go when a process ends, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        partial = path.with_name(f".{path.name}.tmp")
        partial.unlink(missing_ok=True)
        _make(f"{_SQLITE}{partial}", artifacts)
        partial.rename(path)


def _make(uri: str, artifacts: Path) -> None:
    store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    made = store.SqlAlchemyStore(uri, artifacts.absolute().as_uri())
    made.engine.dispose()
