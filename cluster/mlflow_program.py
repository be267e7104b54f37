"""MLflow's server as a program: first its databases, whole, then MLflow's own command.

``python -m cluster.mlflow_program server --port 5000`` takes what ``mlflow`` takes, and its
settings from the environment (``mlflow_server.py``).
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.new_database import make_if_missing, make_users_if_missing


def main(arguments: Sequence[str]) -> None:
    """Make what is missing, and become MLflow.

    Raises:
        OSError: If a database cannot be written to.
    """
    # What the server gives out as the address of artifacts that it keeps itself.
    make_if_missing(os.environ["MLFLOW_BACKEND_STORE_URI"], "mlflow-artifacts:/")
    config = os.environ.get("MLFLOW_AUTH_CONFIG_PATH")
    if config is not None:
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_string(Path(config).read_text(encoding="utf-8"))
        make_users_if_missing(settings["mlflow"]["database_uri"])
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mlflow", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
