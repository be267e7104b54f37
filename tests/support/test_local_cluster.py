"""A cluster of several nodes on this machine: real nodes, that die and join."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.process import processes
from cluster.session import require_reachable
from tests.support.local_cluster import LocalCluster, LocalNodeSpec, start_nodes

# Connects as a driver does, keeps an actor that looks like a trial, and says what it sees.
_DRIVER = """
import os, sys, time
from cluster.session import ray_session
with ray_session(sys.argv[1]):
    import ray
    @ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
    class LikeTrainable:
        def where(self):
            return ray.util.get_node_ip_address()
    actor = LikeTrainable.remote()
    print("actor on", ray.get(actor.where.remote()), flush=True)
    for line in sys.stdin:
        if line == "nodes\\n":
            print(sorted((n["NodeManagerAddress"], n["Alive"]) for n in ray.nodes()), flush=True)
        else:
            print("actor on", ray.get(actor.where.remote()), flush=True)
"""


def wait_until(condition: Callable[[], bool], patience_s: float = 120) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    cluster = LocalCluster(folder)
    yield cluster
    cluster.shutdown()
    shutil.rmtree(folder)


def answer(driver: subprocess.Popen[str], question: str = "") -> str:
    """Ask the driver something, and give its answer without what Ray says between."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(question)
    for line in driver.stdout:
        if line.startswith(("actor on", "[(")):
            return line
    raise AssertionError("the driver ended")


def living() -> set[int]:
    return {process.pid for process in processes()}


# At every change a study loses its nodes (``tests/study/fault_tolerance/test_node_loss.py``).
@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_a_node_dies_with_all_that_runs_on_it_another_joins_and_trials_go_on(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start(workers=[1, 1])
    assert cluster.token.stat().st_mode & 0o777 == 0o600
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, cluster.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        place = answer(driver).split()[-1]
        (trial,) = cluster.trial_pids()
        (node,) = (node for node in cluster.workers if node.spec.ip == place)
        of_the_node = {trial, node.process.pid}
        before = set(cluster.pids())
        cluster.kill(node)
        assert not of_the_node & living()
        assert node not in cluster.nodes
        assert not node.spec.folder.exists()
        assert set(cluster.pids()) < before
        # The actor goes on elsewhere.
        assert answer(driver, "where\n").split()[-1] != place
        (joined,) = cluster.add_workers([1])
        seen = answer(driver, "nodes\n")
        assert f"('{joined.spec.ip}', True)" in seen
        assert f"('{place}', True)" not in seen
    finally:
        driver.kill()
        driver.communicate()
    left = set(cluster.pids())
    assert len(left) > 9
    cluster.shutdown()
    assert not left & living()
    assert cluster.nodes == ()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_head_that_was_killed_is_followed_by_another_at_a_new_address(
    cluster: LocalCluster,
) -> None:
    cluster.start(workers=[])
    first = cluster.address
    require_reachable(first)
    cluster.kill(cluster.nodes[0])
    with pytest.raises(ClusterError):
        require_reachable(first)
    with pytest.raises(ClusterError, match=r"has no head; start one first\.$"):
        cluster.add_workers([1])
    cluster.start(workers=[])
    assert cluster.address != first
    require_reachable(cluster.address)


def test_a_folder_with_a_long_path_is_refused() -> None:
    with pytest.raises(ClusterError) as refused:
        LocalCluster(Path("/tmp") / ("x" * 40))
    assert str(refused.value) == (
        "the folder of a local cluster must have a path of at most 36 characters, because Ray "
        f"opens sockets below it, but /tmp/{'x' * 40} has 45; name one below /tmp."
    )


def test_a_node_that_does_not_start_is_named_with_what_it_said(tmp_path: Path) -> None:
    spec = LocalNodeSpec(
        ip="127.0.0.9",
        cpus=1,
        folder=tmp_path / "node",
        options=("--no-such-option",),
        environment={},
    )
    with pytest.raises(ClusterError) as refused:
        start_nodes([spec])
    text = str(refused.value)
    assert text.startswith("a Ray node must start at 127.0.0.9 within 120 s, but did not in 3 ")
    assert "No such option" in text
    assert not spec.folder.exists()
