"""The local MLflow server; ``test_sync_process.py`` runs a whole one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from study.records.errors import TrackingError
from study.tracking.mlflow_server import serve

pytestmark = pytest.mark.service

HOME = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.3.7", "example.org", "::"])
def test_it_listens_on_this_machine_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(TrackingError) as raised:
        serve("sqlite:////x.db", tmp_path, host=host)
    assert str(raised.value) == (
        "mlflow: host must be a loopback address, because the server asks for no password; got "
        f"'{host}'; use 127.0.0.1 and reach it through 'ssh -L'"
    )


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError) as raised:
            serve(f"sqlite:///{tmp_path}/m.db", tmp_path, port=port)
    assert str(raised.value) == (
        f"mlflow: 127.0.0.1:{port} must be free to listen on, got: [Errno 98] Address already in "
        "use; end what listens there or choose another port with --port"
    )


def test_a_server_that_cannot_start_is_one_clear_error(tmp_path: Path) -> None:
    source = (
        "import sys\n"
        "from pathlib import Path\n"
        "from study.records.errors import TrackingError\n"
        "from study.tracking.mlflow_server import serve\n"
        "try:\n"
        "    serve('nonsense://m', Path(sys.argv[1]), port=int(sys.argv[2]))\n"
        "except TrackingError as error:\n"
        "    print(error)\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path), str(port)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"mlflow: the server at http://127.0.0.1:{port} must start, but it ended with exit code "
        "1; its own message stands above\n"
    )


def test_the_page_of_every_study_is_announced_once_the_server_answers(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/m.db"
    environment = {**os.environ, "PYTHONPATH": str(HOME), "MLFLOW_DISABLE_TELEMETRY": "true"}
    fill = (
        "import sys\n"
        "from mlflow import MlflowClient\n"
        "client = MlflowClient(sys.argv[1])\n"
        "client.create_experiment('not ours')\n"
        "client.create_experiment('tiny', tags={'study': 'tiny'})\n"
        "view = {'study': 'viewed', 'mlflow.sharedViewState.arms': '{}'}\n"
        "client.create_experiment('viewed', tags=view)\n"
    )
    subprocess.run([sys.executable, "-c", fill, database], env=environment, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = (
        "import sys\n"
        "from pathlib import Path\n"
        "from study.tracking.mlflow_server import serve\n"
        "announce = lambda line: print(line, flush=True)\n"
        "sys.exit(serve(sys.argv[1], Path(sys.argv[2]), port=int(sys.argv[3]), announce=announce))"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", source, database, str(tmp_path), str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        said = [server.stdout.readline() for _ in range(3)]
    finally:
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=60)
    page = f"http://127.0.0.1:{port}/#/experiments"
    assert said == [
        f"{page}?workflowType=machine_learning\n",
        f"viewed: {page}/3/runs?workflowType=machine_learning&viewStateShareKey=arms\n",
        f"tiny: {page}/2/runs?workflowType=machine_learning\n",
    ]
    assert (rest, server.returncode) == ("", 0)
