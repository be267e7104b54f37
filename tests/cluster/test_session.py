"""Starting and finding a Ray, and what is said when there is none that fits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cluster.errors import ClusterError
from cluster.session import prepare_environment, ray_session, require_answer, require_resources

_PROBE = """
import os, sys
from cluster.session import prepare_environment
assert "ray" not in sys.modules
prepare_environment()
assert "ray" not in sys.modules
import study.runner, study.executors
assert "ray" not in sys.modules, "imported before the environment is set"
for name in ("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE"):
    print(name, os.environ[name])
import ray
from ray._private import ray_constants
print(ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV)
"""


def test_the_environment_is_set_before_ray_is_imported() -> None:
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
    require_answer("auto")


@pytest.mark.ray
def test_an_address_where_something_listens_is_left_to_ray(ray_address: str) -> None:
    require_answer(ray_address)


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
        require_resources(2, 0)
        for cpus, gpus in ((3, 0), (1, 1), (1, 0.5)):
            with pytest.raises(ClusterError) as refused:
                require_resources(cpus, gpus)
            assert str(refused.value) == (
                f"resources ask for {cpus} CPUs and {gpus:g} GPUs per trial, but the largest "
                "node has 2 CPUs and 0 GPUs; lower resources.cpus or resources.gpus, or connect "
                "to another cluster."
            )
