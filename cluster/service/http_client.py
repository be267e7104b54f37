"""HTTP requests to a service's servers, and the nodes and jobs that Ray's dashboard lists.

No request goes through a proxy, which must not see the token.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cluster.errors import ClusterError
from cluster.plain_errors import plain_reason
from cluster.port_owner import foreign_server_error

_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A server's response; status 0 and the reason as body if there was none."""

    status: int
    body: str

    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """Return the decoded body."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Status and beginning of the body, for a message."""
        body = " ".join(self.body.split())[:200]
        return f"status {self.status}: {body}" if self.status else body


def http_get(
    url: str, headers: Mapping[str, str] | None = None, timeout_s: float = 10.0
) -> HttpResponse:
    """Send a GET request; a refusal or a failed connection is a response too."""
    if headers and (reason := foreign_server_error(url)) is not None:
        return HttpResponse(status=0, body=reason)
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            return HttpResponse(status=response.status, body=response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return HttpResponse(status=error.code, body=error.read().decode(errors="replace"))
    except urllib.error.URLError as error:
        return HttpResponse(status=0, body=f"no answer ({plain_reason(error.reason)})")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return HttpResponse(status=0, body=f"no answer ({plain_reason(error)})")


_ACTIVE_STATES = frozenset({"PENDING", "RUNNING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node of Ray; free amounts are None until Ray has counted, some seconds after it joined."""

    address: str
    is_head: bool
    is_alive: bool
    cpus: float
    cpus_free: float | None
    gpus: float
    gpus_free: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyJob:
    """A study with a ``RUNNING`` or ``PENDING`` driver, submitted ``since_s`` after 1970."""

    study: str
    job: str
    state: str
    since_s: float


def list_nodes(dashboard: str, headers: Mapping[str, str]) -> tuple[NodeStatus, ...]:
    """Return the nodes, the head first.

    Raises:
        ClusterError: If the dashboard does not answer.
    """
    url = f"{dashboard}/api/v0/nodes?detail=1&limit=10000"
    listed = _get_json(url, headers)["data"]["result"]["result"]
    report = _get_json(f"{dashboard}/api/cluster_status", headers)["data"]["clusterStatus"]
    used = report["loadMetricsReport"]["usageByNode"] if report else {}
    nodes = [_node(each, used.get(each["node_id"])) for each in listed]
    return tuple(sorted(nodes, key=lambda node: (not node.is_head, node.address)))


def list_studies(dashboard: str, headers: Mapping[str, str]) -> tuple[StudyJob, ...]:
    """Return the running studies, the oldest first.

    Raises:
        ClusterError: If the dashboard does not answer.
    """
    jobs = [
        job
        for job in _get_json(f"{dashboard}/api/jobs/", headers)
        if job["status"] in _ACTIVE_STATES
    ]
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


def _get_json(url: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 (JSON)
    response = http_get(url, headers, timeout_s=10.0)
    if response.status != 200:
        raise ClusterError(
            f"Ray's dashboard must answer at {url}, but: {response.reason}; try again in a moment."
        )
    return response.json()


def _node(listed: Mapping[str, Any], used: Mapping[str, list[float]] | None) -> NodeStatus:
    total = listed["resources_total"]
    cpus, gpus = total.get("CPU", 0.0), total.get("GPU", 0.0)
    return NodeStatus(
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
