"""The local MLflow server; ``test_sync_process.py`` runs a whole one."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.service.http_client import HttpResponse
from study.tracking import mlflow_server
from study.tracking.mlflow_server import serve

pytestmark = pytest.mark.service

HOME = Path(__file__).resolve().parents[3]


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError) as raised:
            serve(f"sqlite:///{tmp_path}/m.db", tmp_path, tmp_path, port=port, announce=print)
    assert str(raised.value) == (
        f"mlflow needs 127.0.0.1:{port}, but cannot have it (Address already in use); end the "
        "program that listens there, or choose another port with --port."
    )


def test_a_server_that_cannot_start_is_one_clear_error(tmp_path: Path) -> None:
    source = (
        "import sys\n"
        "from pathlib import Path\n"
        "from study.records.errors import TrackingError\n"
        "from study.tracking.mlflow_server import serve\n"
        "try:\n"
        "    folder = Path(sys.argv[1])\n"
        "    serve('nonsense://m', folder, folder, port=int(sys.argv[2]), announce=print)\n"
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


VIEW = json.dumps({"name": "Sensitivity to K", "createdAt": 0, "updatedAt": 0, "state": "{}"})
OTHER = json.dumps({"name": "Mine", "createdAt": 5, "updatedAt": 5, "state": "{}"})


@pytest.mark.parametrize(
    ("views", "shown"),
    [
        ({}, ""),
        ({"mine": OTHER}, ""),
        # Of another version of MLflow, or of nobody's.
        ({"old": "deflate;eJwDAAAAAAE=", "odd": "[1]"}, ""),
        ({"mine": OTHER, "arms": VIEW}, "&viewStateShareKey=arms"),
        ({"over-top_k": VIEW}, "&viewStateShareKey=over-top_k&compareRunsMode=CHART"),
    ],
)
def test_a_study_s_page_is_its_first_view(
    monkeypatch: pytest.MonkeyPatch, views: dict[str, str], shown: str
) -> None:
    tags = [{"key": f"mlflow.sharedViewState.{key}", "value": text} for key, text in views.items()]
    found = {"experiments": [{"name": "tiny", "experiment_id": "7", "tags": tags}]}
    monkeypatch.setattr(
        mlflow_server,
        "http_get",
        lambda *_, **__: HttpResponse(status=200, body=json.dumps(found)),
    )
    pages = dict(mlflow_server._pages("http://127.0.0.1:5000", {}))
    assert pages == {
        "": "#/experiments?workflowType=machine_learning",
        "tiny": f"#/experiments/7/runs?workflowType=machine_learning{shown}",
    }


# The page itself is opened in a browser.
@pytest.mark.extended
def test_the_page_of_every_study_is_announced_once_the_server_answers(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/m.db"
    environment = {**os.environ, "PYTHONPATH": str(HOME), "MLFLOW_DISABLE_TELEMETRY": "true"}
    fill = (
        "import sys\n"
        "from mlflow import MlflowClient\n"
        "client = MlflowClient(sys.argv[1])\n"
        "client.create_experiment('not ours')\n"
        "client.create_experiment('tiny', tags={'study': 'tiny'})\n"
        "view = {'study': 'viewed', 'mlflow.sharedViewState.over-top_k': sys.argv[2]}\n"
        "client.create_experiment('viewed', tags=view)\n"
    )
    subprocess.run([sys.executable, "-c", fill, database, VIEW], env=environment, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = (
        "import sys\n"
        "from pathlib import Path\n"
        "from study.tracking.mlflow_server import serve\n"
        "def announce(page):\n"
        "    print(page.name, page.address, page.login, page.file, flush=True)\n"
        "folder = Path(sys.argv[2])\n"
        "port = int(sys.argv[3])\n"
        "sys.exit(serve(sys.argv[1], folder, folder / 's', port=port, announce=announce))"
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
        link = (tmp_path / "s" / f"mlflow-link-{port}").read_text().strip()
        address = f"http://127.0.0.1:{port}"
        for path in ("/", "/login", "/api/2.0/mlflow/experiments/search?max_results=1"):
            assert status(f"{address}{path}", {}) == 401
            code = base64.b64encode(link[len("http://") : link.index("@")].encode()).decode()
            assert status(f"{address}{path}", {"Authorization": f"Basic {code}"}) == 200
    finally:
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=60)
    kind, charts = "workflowType=machine_learning", "&compareRunsMode=CHART"
    pages = {
        "": f"#/experiments?{kind}",
        "viewed": f"#/experiments/3/runs?{kind}&viewStateShareKey=over-top_k{charts}",
        "tiny": f"#/experiments/2/runs?{kind}",
    }
    file = tmp_path / "s" / f"mlflow-link-{port}"
    assert said == [
        f"{name} {address}/{page} {link}{page} {file}\n" for name, page in pages.items()
    ]
    assert (rest, server.returncode) == ("", 0)
    assert not file.exists()


def status(url: str, headers: Mapping[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
