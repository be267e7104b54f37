"""Errors of libraries in words: what came and what to do, without representations of objects."""

from __future__ import annotations

import socket

import pytest
import requests
from ray.exceptions import AuthenticationError

from cluster.plain_errors import plain_reason
from cluster.ports import free_port

VERSIONS = (
    "Version mismatch: The cluster was started with:\n    Ray: 2.50.0\n    Python: 3.10.4\n"
    "This process on 127.0.0.1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "Could not find any running Ray instance. Please specify the one to connect to by "
            "setting `--address` flag or `RAY_ADDRESS` environment variable.",
            "no Ray runs on this machine",
        ),
        (
            VERSIONS,
            "it runs Ray 2.50.0 with Python 3.10.4, and this program Ray 2.60.0 with Python "
            "3.11.7; install the same here or there",
        ),
        (
            "Failed to connect to GCS. Please check if the GCS server is running and reachable.",
            "its head does not answer",
        ),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (ValueError(), "ValueError"),
        ("<urllib3.connection.HTTPConnection object at 0x7f51>: no such host", "no such host"),
        ("a" * 999, "a" * 300),
    ],
)
def test_a_reason_is_one_line_that_says_what_came(error: BaseException | str, words: str) -> None:
    assert plain_reason(error) == words


@pytest.mark.parametrize("sent", ["the token is wrong", ""])
def test_rays_refusal_of_a_token_names_the_token(sent: str) -> None:
    invalid = "Token authentication is enabled but the authentication token is invalid"
    assert "~/.ray/auth_token" in plain_reason(AuthenticationError(f"{invalid} {sent}"))


def test_a_failed_request_names_the_cause_alone() -> None:
    port = free_port("a server")
    with pytest.raises(requests.ConnectionError) as refused:
        requests.get(f"http://127.0.0.1:{port}/api/version", timeout=5)
    assert "Max retries exceeded" in str(refused.value)
    assert plain_reason(refused.value) == "[Errno 111] Connection refused"
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        host, port = mute.getsockname()
        with pytest.raises(requests.Timeout) as late:
            requests.get(f"http://{host}:{port}/", timeout=0.05)
    assert " object at 0x" not in plain_reason(late.value)
