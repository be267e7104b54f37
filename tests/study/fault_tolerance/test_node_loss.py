"""Loss of nodes and of the head of a cluster while a study runs."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import assert_equals_uninterrupted
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell
from tests.support.local_cluster import LocalCluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.extended]


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Start a head without CPUs and a worker."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    made = LocalCluster(folder)
    try:
        made.start([1])
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_study_survives_the_loss_of_a_node_and_of_the_head(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], cluster: LocalCluster
) -> None:
    on_ray = shell("ray")
    # Ray gives up a head after this time, and the study after half of it.
    timeout = {"RAY_gcs_rpc_server_reconnect_timeout_s": "30"}
    on_ray.cluster = {**cluster.environment(), **timeout}
    process = on_ray.start("run", "tiny.yaml", "--address", cluster.address)
    on_ray.until_reports(process, 10)
    # The only node that can hold a trial dies, and another one joins.
    (node,) = cluster.workers
    cluster.kill(node)
    before = on_ray.n_reports()
    cluster.add_workers([1])
    on_ray.until_reports(process, before + 10)
    address = cluster.address
    cluster.kill(cluster.nodes[0])
    # No scheduler is left: the driver ends by itself, and the study stays as it is.
    assert process.wait(TIMEOUT_S) == 2
    assert re.fullmatch(
        rf"Error: the head of the Ray cluster, {re.escape(address)}, must answer "
        r"while a study runs, but has not for \d+ s \(Connection refused\); start Ray again, "
        r"there or elsewhere\. Nothing is lost: the same command goes on\.",
        on_ray.last_line(),
    )
    cluster.shutdown()
    cluster.start([1])
    assert on_ray.finish("resume", "tiny", "--address", cluster.address) == 0
    assert_equals_uninterrupted(on_ray, uninterrupted)


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_head_that_is_gone(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], cluster: LocalCluster
) -> None:
    on_ray = shell("ray")
    on_ray.cluster = cluster.environment()
    process = on_ray.start("run", "tiny.yaml", "--address", cluster.address)
    on_ray.until_reports(process, 10)
    # From here on, a call to the head does not return.
    cluster.kill(cluster.nodes[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 130
    assert on_ray.last_line() == (
        "interrupted; nothing is lost. Resume with: challenger-study resume tiny"
    )
    cluster.shutdown()
    cluster.start([1])
    assert on_ray.finish("resume", "tiny", "--address", cluster.address) == 0
    assert_equals_uninterrupted(on_ray, uninterrupted)
