"""MLflow's databases in files, made whole or not at all.

MLflow makes its tables one by one and then changes them step by step, for seconds. A process that
is killed meanwhile would leave a file that no MLflow opens again, and two that begin at the same
moment would stand in each other's way. So the tables are made in a file beside it, which then gets
its name at once, by one process at a time.
"""

from __future__ import annotations

import fcntl
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SQLITE: Final = "sqlite:///"


def make_if_missing(uri: str, artifacts: str) -> None:
    """Make the tracking store of an address, if that is a file which is not there.

    Args:
        uri: Address of the tracking store; that of a server or another database is let be.
        artifacts: Address of the artifacts of MLflow's own first experiment.

    Raises:
        OSError: If the folder cannot be written to.
    """
    _make_whole(uri, lambda new: _make_store(new, artifacts), mode=0o666)


def make_users_if_missing(uri: str) -> None:
    """Make the database in which a guarded server keeps its users, if that file is not there.

    Nobody but its owner may read it.

    Raises:
        OSError: If the folder cannot be written to.
    """
    _make_whole(uri, _make_users, mode=0o600)


def _make_whole(uri: str, make: Callable[[str], None], *, mode: int) -> None:
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
        partial.touch(mode)
        make(f"{_SQLITE}{partial}")
        partial.rename(path)


# MLflow takes seconds to import, and most of the time both are there.


def _make_store(uri: str, artifacts: str) -> None:
    store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store.SqlAlchemyStore(uri, artifacts).engine.dispose()


def _make_users(uri: str) -> None:
    users = importlib.import_module("mlflow.server.auth.sqlalchemy_store").SqlAlchemyStore()
    users.init_db(uri)
    users.engine.dispose()
