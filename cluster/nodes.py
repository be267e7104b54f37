"""Checks of a cluster's nodes before the first trial.

Some node must hold a trial's resources; every node must have the same versions, see the shared
storage and read the data.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cluster.errors import ClusterError
from cluster.process import wait_until

_GIB: Final = 2**30
# Resource to its key in the study file.
_STUDY_KEYS: Final = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_gib"}


def require_schedulable(
    nodes: Sequence[tuple[str, Mapping[str, float]]], demand: Mapping[str, float]
) -> None:
    """Check that a trial could be placed if the cluster were empty.

    Args:
        nodes: Name and total resources of each node, by Ray's names. A machine may have several
            nodes, with one name.
        demand: Resources of one trial, by Ray's names.

    Raises:
        ClusterError: If no node has it all, with what the nearest lacks.
    """
    missing_by_node = [(_missing(total, demand), name, total) for name, total in nodes]
    if any(not missing for missing, _, _ in missing_by_node):
        return
    required = f"resources require {format_resources(demand)} per trial, but "
    if not missing_by_node:
        raise ClusterError(f"{required}no node is there; start one.")
    nearest = min(
        missing_by_node, key=lambda node: (len(node[0]), -_fraction(node[2], demand), node[1])
    )
    missing, name, total = nearest
    has = format_resources({resource: total.get(resource, 0.0) for resource in missing})
    keys = " or ".join(dict.fromkeys(_key(resource) for resource in missing))
    raise ClusterError(
        f"{required}no node has all of it: the nearest, {name}, has {has}; lower {keys}, or "
        "connect to another cluster."
    )


def format_resources(resources: Mapping[str, float]) -> str:
    """Return amounts as text.

    Example:
        >>> format_resources({"CPU": 2.0, "GPU": 0.5, "memory": 3 * 2**30, "rtx4090": 1.0})
        '2 CPUs, 0.5 GPUs, 3 GiB of memory and 1 rtx4090'
    """
    parts = [_format_amount(name, amount) for name, amount in resources.items()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _format_amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / _GIB:.3g} GiB of memory"
    is_counted = name in ("CPU", "GPU")
    return f"{amount:g} {name}{'s' if is_counted and amount != 1 else ''}"


def _key(resource: str) -> str:
    return f"resources.{_STUDY_KEYS.get(resource, 'custom')}"


def _missing(total: Mapping[str, float], demand: Mapping[str, float]) -> Sequence[str]:
    return [name for name, amount in demand.items() if total.get(name, 0.0) < amount]


def _fraction(total: Mapping[str, float], demand: Mapping[str, float]) -> float:
    """Return the fraction of the demand that a node has, averaged over the resources."""
    fractions = [
        min(total.get(name, 0.0) / amount, 1.0) for name, amount in demand.items() if amount
    ]
    return sum(fractions) / len(fractions) if fractions else 1.0


# Versions that must be equal everywhere: pickles, checkpoints and results depend on them.
_PACKAGES: Final = ("ray", "torch", "torchvision", "numpy")
_ABSENT: Final = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequirements:
    """Requirements of trials on a node.

    Attributes:
        storage: Folder that all nodes share, with the trials' checkpoints.
        code: Returns a digest of the code that trains; every node must be able to import it.
        readable: Folders that trials read, such as the data root.
    """

    storage: Path
    code: Callable[[], str]
    readable: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """State of a node.

    Attributes:
        address: Address of the node.
        versions: Versions of Python and of packages, or ``missing``.
        marker: Content of the driver's marker file in the storage, or the error of reading it.
        write_error: Error of writing into the storage; empty if there was none.
        unreadable: Folders that are missing or cannot be listed, with the reason.
    """

    address: str
    versions: Mapping[str, str]
    marker: str
    write_error: str
    unreadable: Sequence[str]


def check_node(address: str, marker: Path, requirements: NodeRequirements) -> NodeReport:
    """Return the state of the machine that this runs on."""
    try:
        text = marker.read_text(encoding="utf-8")
    except OSError as error:
        text = error.strerror or str(error)
    return NodeReport(
        address=address,
        versions=local_versions(requirements.code),
        marker=text,
        write_error=_write_error(marker),
        unreadable=tuple(filter(None, map(_read_error, requirements.readable))),
    )


def local_versions(code: Callable[[], str]) -> Mapping[str, str]:
    """Return the versions that must agree, without importing the packages."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {"Python": platform.python_version(), **packages, "this program's code": code()[:12]}


def problems_of(
    report: NodeReport, marker: str, requirements: NodeRequirements
) -> tuple[str, ...]:
    """Return a sentence for each reason why a node cannot train.

    ``marker`` is the content that the marker file must have.
    """
    where = f"node {report.address}"
    ours = local_versions(requirements.code)
    problems = [
        f"{where} has {name} {report.versions.get(name, _ABSENT)}, but the study's driver {here}; "
        "install the same version on all machines."
        for name, here in ours.items()
        if report.versions.get(name) != here
    ]
    if report.marker != marker:
        problems.append(
            f"{where} must see the storage {requirements.storage}, which all nodes share, but: "
            f"{report.marker}; mount the same folder there, or name a shared one with --storage."
        )
    elif report.write_error:
        problems.append(
            f"{where} must be able to write to {requirements.storage}, but: "
            f"{report.write_error}; let the account that Ray runs under write there."
        )
    problems += [
        f"{where} must see the same data, but: {text}; mount it." for text in report.unreadable
    ]
    return tuple(problems)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT


def _write_error(marker: Path) -> str:
    probe = marker.with_name(f"{marker.name}-{uuid4().hex}")
    try:
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _read_error(folder: Path) -> str:
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return ""


# A node's first process takes some seconds, on a busy one half a minute.
_REPORT_TIMEOUT_S: Final = 120.0
# Ray notices within half a minute that a node was lost.
_NODE_LOSS_S: Final = 40.0
_POLL_INTERVAL_S: Final = 0.5


def require_nodes(
    requirements: NodeRequirements, is_stopping: Callable[[], bool] = lambda: False
) -> int:
    """Check that every node of the connected cluster could train; return the number of nodes.

    Starts a process on each node, which takes a few seconds.

    Args:
        requirements: Requirements of trials.
        is_stopping: Returns whether to give up; called twice a second.

    Raises:
        ClusterError: If versions differ from the driver's, or a node does not see the storage or
            a folder, or does not answer; with the nodes and the remedy.
    """
    marker = requirements.storage / f".nodes-{uuid4().hex}"
    marker.write_text(marker.name, encoding="utf-8")
    try:
        found = _collect_reports(_request_reports(marker, requirements), is_stopping)
    finally:
        marker.unlink(missing_ok=True)
    problems = [
        text for report in found for text in problems_of(report, marker.name, requirements)
    ]
    if problems:
        raise ClusterError(" ".join(problems))
    return len(found)


def _request_reports(marker: Path, requirements: NodeRequirements) -> dict[Any, Mapping[str, Any]]:
    """Start a check on each node; return Ray's references, each with its node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    check = ray.remote(num_cpus=0, max_retries=0)(check_node)
    pending = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            address = str(node["NodeManagerAddress"])
            reference = check.options(scheduling_strategy=there).remote(
                address, marker, requirements
            )
            pending[reference] = node
    return pending


def _collect_reports(
    pending: Mapping[Any, Mapping[str, Any]], is_stopping: Callable[[], bool]
) -> list[NodeReport]:
    import ray

    deadline = time.monotonic() + _REPORT_TIMEOUT_S
    waiting = list(pending)
    while waiting and not is_stopping():
        if time.monotonic() > deadline:
            late = ", ".join(str(pending[each]["NodeManagerAddress"]) for each in waiting)
            raise ClusterError(
                f"every node must start a process within {_REPORT_TIMEOUT_S:.0f} s, but {late} "
                "did not; look at the logs there, or remove it from the cluster."
            )
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=_POLL_INTERVAL_S)
    done = [reference for reference in pending if reference not in waiting]
    reports = (_get_report(reference, pending[reference]) for reference in done)
    return [report for report in reports if report is not None]


def _get_report(reference: Any, node: Mapping[str, Any]) -> NodeReport | None:  # noqa: ANN401 (Ray's)
    """Return a node's report, or None if it has left the cluster."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        report: NodeReport = ray.get(reference)
    except RayError as error:
        # A node that was lost just now is still listed for a while.
        if not isinstance(error, RayTaskError) and _is_dead(node["NodeID"]):
            return None
        raise ClusterError(
            f"node {node['NodeManagerAddress']} must be able to run this program, but: "
            f"{' '.join(str(error).split())[-400:]}; install the same version of it there, or "
            "start the study with 'submit', which brings it along."
        ) from None
    return report


def _is_dead(node: str) -> bool:
    import ray

    def is_missing() -> bool:
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        return not any(each["Alive"] and each["NodeID"] == node for each in nodes)

    return wait_until(is_missing, _NODE_LOSS_S)
