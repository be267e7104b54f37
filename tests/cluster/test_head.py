"""The monitor of a cluster's head, with a real port."""

from __future__ import annotations

import socket

import pytest

from cluster import head as module
from cluster.errors import ClusterError
from cluster.head import HeadMonitor, connection_error, head_timeout_s


@pytest.fixture(autouse=True)
def every_check_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK_INTERVAL_S", 0.0)


def listening(port: int = 0) -> socket.socket:
    """Open a port as a head does."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(10)
    return listener


def test_a_head_that_answers_is_not_lost() -> None:
    with listening() as listener:
        monitor = HeadMonitor(f"127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.0)
        for _ in range(3):
            monitor.check()
    assert not monitor.is_lost


def test_a_head_that_is_away_for_too_long_is_lost_and_named() -> None:
    with listening() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    monitor = HeadMonitor(address, timeout_s=0.0)
    with pytest.raises(ClusterError) as lost:
        monitor.check()
    assert monitor.is_lost
    assert str(lost.value) == (
        f"the head of the Ray cluster, {address}, must answer while a study runs, but has not for "
        "0 s (Connection refused); start Ray again, there or elsewhere."
    )


def test_a_head_that_comes_back_in_time_was_never_lost() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
    monitor = HeadMonitor(f"127.0.0.1:{port}", timeout_s=3600.0)
    monitor.check()
    assert monitor._unreachable_since is not None
    with listening(port):
        monitor.check()
    assert monitor._unreachable_since is None
    assert not monitor.is_lost


def test_checking_costs_one_connection_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK_INTERVAL_S", 3600.0)
    with listening() as listener:
        monitor = HeadMonitor(f"127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.0)
        for _ in range(10):
            monitor.check()
        listener.accept()[0].close()
        listener.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_timeout_is_half_of_ray_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "200")
    assert head_timeout_s() == 100


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "127.0.0.1:99999"])
def test_a_failed_connection_returns_its_error(address: str) -> None:
    assert connection_error(address, 5.0) is not None
