"""Starting and finding a Ray, and what is said when there is none that fits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from ray.exceptions import AuthenticationError

from cluster import session
from cluster.errors import ClusterError
from cluster.session import prepare_environment, ray_session, require_reachable, require_resources

_PROBE = """
import os, sys
from cluster.session import prepare_environment
assert "ray" not in sys.modules
prepare_environment()
assert "ray" not in sys.modules
import study.engine.run, study.engine.executors
assert "ray" not in sys.modules, "imported before the environment is set"
for name in ("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE"):
    print(name, os.environ[name])
import ray
from ray._private import ray_constants
print(ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV)
from ray._private.worker import print_to_stdstream
said = {"lines": ["WARNING: 8 worker processes"], "pid": "raylet", "is_err": False}
print_to_stdstream(said, ignore_prefix=False)
"""


@pytest.mark.service
def test_the_environment_is_set_before_ray_is_imported_and_its_processes_are_quiet() -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV 0",
        "RAY_USAGE_STATS_ENABLED 0",
        "RAY_AUTH_MODE token",
        "False",
    ]


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    prepare_environment()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "127.0.0.1:99999"]
)
def test_an_address_where_nothing_listens_is_named(address: str) -> None:
    with pytest.raises(ClusterError) as refused, ray_session(address):
        pass
    text = str(refused.value)
    assert text.startswith(f"no Ray answered at {address}: ")
    assert text.endswith("; check the address, or leave --address out to use this machine alone.")
    assert "\n" not in text


def test_an_address_without_a_port_is_left_to_ray() -> None:
    require_reachable("auto")


@pytest.mark.ray
def test_an_address_where_something_listens_is_left_to_ray(ray_address: str) -> None:
    require_reachable(ray_address)


@pytest.mark.ray
def test_a_session_ends_and_can_be_held_again(ray_address: str) -> None:
    import ray

    for _ in range(2):
        with ray_session(ray_address):
            assert ray.is_initialized()
        assert not ray.is_initialized()


@pytest.mark.ray
def test_sigterm_is_still_the_program_s_own_in_a_session(ray_address: str) -> None:
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append("ours"))
    try:
        with ray_session(ray_address):
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 0.1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == ["ours"]


@pytest.mark.ray
def test_resources_that_no_node_has_are_refused(ray_address: str) -> None:
    with ray_session(ray_address):
        require_resources({"CPU": 2.0})
        with pytest.raises(ClusterError) as refused:
            require_resources({"CPU": 2.0, "GPU": 0.5, "rtx4090": 1.0})
    assert re.fullmatch(
        r"resources require 2 CPUs, 0\.5 GPUs and 1 rtx4090 per trial, but no node has all of it: "
        r"the nearest, [\d.]+, has 0 GPUs and 0 rtx4090; lower resources\.gpus or "
        r"resources\.custom, or connect to another cluster\.",
        str(refused.value),
    )


def refusing(times: int, error: Exception, asked: list[int]) -> Callable[..., None]:
    """Give a Ray that does not start for the first times."""

    def init(**_: object) -> None:
        asked.append(1)
        if len(asked) <= times:
            raise error

    return init


def test_a_ray_that_starts_too_slowly_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    late = Exception("The current node timed out during startup. This could happen because …")
    monkeypatch.setattr("ray.init", refusing(2, late, asked))
    session._connect("this machine", session._init)
    assert len(asked) == 3
    asked.clear()
    monkeypatch.setattr("ray.init", refusing(6, late, asked))
    with pytest.raises(ClusterError, match="did not in 6 tries; stop other work on it"):
        session._connect("this machine", session._init)


def test_a_refused_token_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    invalid = "Token authentication is enabled but the authentication token is invalid"
    refused = AuthenticationError(invalid)
    monkeypatch.setattr("ray.init", refusing(1, refused, []))
    with pytest.raises(ClusterError, match=r"no Ray answered at lab:6379: it refuses this token"):
        session._connect("lab:6379", session._init)


def test_an_error_of_ray_s_that_we_do_not_know_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.init", refusing(1, Exception("a new one"), []))
    with pytest.raises(Exception, match="a new one"):
        session._connect("this machine", session._init)
