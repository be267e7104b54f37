"""What Ray's dashboard says of nodes and jobs, over HTTP and with the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import ClusterError
from cluster.service.request import ask

_RUNNING = frozenset({"PENDING", "RUNNING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node of Ray's.

    Attributes:
        address: Its address.
        is_head: Whether it is the head.
        is_alive: Whether it is there.
        cpus: How many CPUs trials may have on it.
        cpus_free: How many of them nobody has; None until Ray has counted, some seconds after it
            joined.
        gpus: How many GPUs trials may have on it.
        gpus_free: As ``cpus_free``.
    """

    address: str
    is_head: bool
    is_alive: bool
    cpus: float
    cpus_free: float | None
    gpus: float
    gpus_free: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyJob:
    """A study whose driver runs, or is about to.

    Attributes:
        study: Its name.
        job: Name of Ray's job.
        state: ``RUNNING`` or ``PENDING``.
        since_s: When it was submitted, in seconds since 1970.
    """

    study: str
    job: str
    state: str
    since_s: float


def nodes_of(dashboard: str, headers: Mapping[str, str]) -> tuple[NodeState, ...]:
    """List the nodes, the head first.

    Raises:
        ClusterError: If the dashboard does not answer.
    """
    url = f"{dashboard}/api/v0/nodes?detail=1&limit=10000"
    listed = _get(url, headers)["data"]["result"]["result"]
    report = _get(f"{dashboard}/api/cluster_status", headers)["data"]["clusterStatus"]
    used = report["loadMetricsReport"]["usageByNode"] if report else {}
    nodes = [_node(each, used.get(each["node_id"])) for each in listed]
    return tuple(sorted(nodes, key=lambda node: (not node.is_head, node.address)))


def studies_of(dashboard: str, headers: Mapping[str, str]) -> tuple[StudyJob, ...]:
    """List the running studies, the first come first.

    Raises:
        ClusterError: If the dashboard does not answer.
    """
    jobs = [job for job in _get(f"{dashboard}/api/jobs/", headers) if job["status"] in _RUNNING]
    studies = [
        StudyJob(
            study=job["metadata"]["study"],
            job=job["submission_id"],
            state=job["status"],
            since_s=job["start_time"] / 1000,
        )
        for job in jobs
        if "study" in (job["metadata"] or {})
    ]
    return tuple(sorted(studies, key=lambda study: study.since_s))


def _get(url: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 (JSON)
    answer = ask(url, headers, timeout_s=10.0)
    if answer.status != 200:
        raise ClusterError(
            f"Ray's dashboard must answer at {url}, but: {answer.reason}; look again in a moment."
        )
    return answer.json()


def _node(listed: Mapping[str, Any], used: Mapping[str, list[float]] | None) -> NodeState:
    total = listed["resources_total"]
    cpus, gpus = total.get("CPU", 0.0), total.get("GPU", 0.0)
    return NodeState(
        address=listed["node_ip"],
        is_head=listed["is_head_node"],
        is_alive=listed["state"] == "ALIVE",
        cpus=cpus,
        cpus_free=_free(cpus, "CPU", used),
        gpus=gpus,
        gpus_free=_free(gpus, "GPU", used),
    )


def _free(total: float, name: str, used: Mapping[str, list[float]] | None) -> float | None:
    if used is None:
        return None
    return total - used[name][0] if name in used else total
