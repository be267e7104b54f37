"""The deletion of a study's experiment in MLflow, in a process of its own as every call to it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from study.records.errors import TrackingError, mask_passwords
from study.storage.sqlite import sqlite_path
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.study_identity import read_identity
from study.tracking.sync_process import ADDRESS_VARIABLE, child_environment, import_path
from study.tracking.tracking_uri import TrackingUri, secrets

# Of a server that hangs; a database deletes thousands of runs in less.
_TIMEOUT_S: Final = 600.0
_DELETED: Final = "deleted"


def delete_experiment(folder: Path, artifacts: Path, tracking_uri: str) -> bool:
    """Delete an experiment with its runs and artifacts; False if MLflow has none of that name.

    A database forgets it. A server keeps what it deletes, under another name, until somebody
    runs ``mlflow gc`` there.

    Args:
        folder: The study's folder; without it, the experiment of that name is meant.
        artifacts: Folder for artifacts where MLflow is a database without a server.
        tracking_uri: MLflow's address.

    Raises:
        TrackingError: If MLflow does not delete it.
    """
    TrackingUri.parse(tracking_uri)
    path = sqlite_path(tracking_uri)
    if path is not None and not path.exists():
        return False
    command = [sys.executable, "-P", "-m", __name__, str(folder.absolute())]
    command.append(str(artifacts.absolute()))
    environment = {**os.environ, **import_path(), ADDRESS_VARIABLE: tracking_uri}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        reason = f"it did not answer for {_TIMEOUT_S:g} s"
    else:
        if done.returncode == 0:
            return done.stdout.endswith(f"{_DELETED}\n")
        reason = (done.stderr.strip().splitlines() or ["its process was killed"])[-1]
    raise TrackingError(
        f"MLflow at {mask_passwords(tracking_uri)} must delete the experiment {folder.name!r}, "
        f"but: {reason}; repair that, or correct --tracking-uri."
    )


def main(folder: Path, artifacts: Path) -> int:
    """Delete the experiment of a study at the address in the environment."""
    logging.disable(logging.WARNING)
    address = TrackingUri.parse(os.environ.pop(ADDRESS_VARIABLE, ""))
    os.environ.update(child_environment(address))
    mirror = MlflowMirror(
        address=address,
        experiment=folder.name,
        artifacts=artifacts,
        identity=read_identity(folder),
    )
    try:
        mirror.require_own_server()
        if mirror.delete():
            sys.stdout.write(f"{_DELETED}\n")
    except Exception as error:
        # The border to MLflow: its errors are of many kinds.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        sys.stderr.write(mask_passwords(f"{first}\n", secrets(address, os.environ)))
        return 1
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
