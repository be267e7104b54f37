"""A tracking server that takes nothing is found before the first trial."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from study.records.errors import TrackingError
from study.tracking.tracking_uri import check_tracking_server


@contextmanager
def server(code: int):
    """Answer everything with one code, and keep the headers that came."""
    headers = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(dict(self.headers))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_address[1]}", headers
        listening.shutdown()


def test_a_server_that_answers_is_fine_and_is_told_who_asks():
    with server(200) as (place, headers):
        check_tracking_server(f"http://ada:s3cret@{place}")
    assert headers[0]["Authorization"] == f"Basic {base64.b64encode(b'ada:s3cret').decode()}"


def test_a_token_of_mlflow_s_environment_is_used(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    with server(200) as (place, headers):
        check_tracking_server(f"http://{place}")
    assert headers[0]["Authorization"] == "Bearer t0ken"


def test_a_database_needs_no_server(tmp_path):
    check_tracking_server(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize(
    ("code", "todo"),
    [
        (401, "asks for a user and a password; set CHALLENGER_TRACKING_URI"),
        (403, "MLFLOW_SERVER_ALLOWED_HOSTS"),
        (404, "correct the address"),
        (500, "look at its log"),
    ],
)
def test_each_refusal_says_what_to_do_and_no_password(code, todo):
    with server(code) as (place, _), pytest.raises(TrackingError) as caught:
        check_tracking_server(f"http://ada:s3cret@{place}")
    said = str(caught.value)
    assert f"HTTP {code}" in said
    assert todo in said
    assert "s3cret" not in said


def test_a_server_that_does_not_answer_is_reported():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(TrackingError, match=r"Connection refused; start it, or correct"):
        check_tracking_server(f"http://127.0.0.1:{port}")
