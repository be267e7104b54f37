"""The HTTP client, with responses recorded from a real dashboard."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.service.http_client import StudyJob, http_get, list_nodes, list_studies

TOKEN = {"Authorization": "Bearer sesame"}


def node(number: str, address: str, state: str, **resources: float) -> dict[str, Any]:
    return {
        "node_id": number,
        "node_ip": address,
        "is_head_node": address.endswith(".1"),
        "state": state,
        "resources_total": {"memory": 1e9, f"node:{address}": 1.0, **resources},
    }


def job(number: str, state: str, began_ms: int, metadata: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "type": "SUBMISSION",
        "submission_id": number,
        "status": state,
        "start_time": began_ms,
        "metadata": metadata,
    }


NODES = [
    node("b", "10.0.0.9", "ALIVE", CPU=8.0, GPU=2.0),
    node("c", "10.0.0.8", "DEAD", CPU=8.0),
    node("a", "10.0.0.1", "ALIVE", CPU=4.0),
]
USED = {"a": {"CPU": [1.5, 4.0]}, "b": {"CPU": [0.0, 8.0], "GPU": [0.5, 2.0]}}


@pytest.fixture
def answers() -> dict[str, Any]:
    return {
        "/api/v0/nodes?detail=1&limit=10000": {"data": {"result": {"result": NODES}}},
        "/api/cluster_status": {
            "data": {"clusterStatus": {"loadMetricsReport": {"usageByNode": USED}}}
        },
        "/api/jobs/": [
            job("j3", "RUNNING", 3000, {"study": "late"}),
            job("j1", "PENDING", 1000, {"study": "early"}),
            job("j2", "SUCCEEDED", 2000, {"study": "over"}),
            job("j4", "RUNNING", 500, {"owner": "somebody"}),
            job("j5", "RUNNING", 500, None),
        ],
    }


@pytest.fixture
def dashboard(answers: dict[str, Any]) -> Iterator[str]:
    """Start a server with these answers, which requires the token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer sesame"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answers[self.path]).encode() if known else b"who?")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nodes_are_listed_head_first_with_what_is_free(dashboard: str) -> None:
    assert [dataclasses.astuple(node) for node in list_nodes(dashboard, TOKEN)] == [
        # Address, head, alive, CPUs, free, GPUs, free.
        ("10.0.0.1", True, True, 4.0, 2.5, 0.0, 0.0),
        ("10.0.0.8", False, False, 8.0, None, 0.0, None),
        ("10.0.0.9", False, True, 8.0, 8.0, 2.0, 1.5),
    ]


def test_free_amounts_are_unknown_before_ray_has_counted(
    dashboard: str, answers: dict[str, Any]
) -> None:
    answers["/api/cluster_status"] = {"data": {"clusterStatus": None}}
    assert [each.cpus_free for each in list_nodes(dashboard, TOKEN)] == [None, None, None]


def test_studies_are_the_running_jobs_that_name_one_in_their_order(dashboard: str) -> None:
    assert list_studies(dashboard, TOKEN) == (
        StudyJob(study="early", job="j1", state="PENDING", since_s=1.0),
        StudyJob(study="late", job="j3", state="RUNNING", since_s=3.0),
    )


def test_a_refusal_is_an_error_with_its_status(dashboard: str) -> None:
    with pytest.raises(ClusterError) as refused:
        list_studies(dashboard, {})
    assert str(refused.value) == (
        f"Ray's dashboard must answer at {dashboard}/api/jobs/, but: status 401: who?; try again "
        "in a moment."
    )


def test_a_failed_connection_is_a_response_and_no_proxy_is_used(
    dashboard: str, monkeypatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert http_get(f"{dashboard}/api/jobs/", TOKEN).status == 200
    nobody = http_get("http://127.0.0.1:9/")
    assert nobody.status == 0
    assert nobody.reason == "no answer ([Errno 111] Connection refused)"
