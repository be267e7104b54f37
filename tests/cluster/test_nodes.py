"""Checks of nodes: resources, versions, storage and data."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.nodes import (
    NodeRequirements,
    check_node,
    local_versions,
    problems_of,
    require_schedulable,
)
from trainables.code_digest import code_digest

GIB = 2**30
NODES = [
    ("10.0.0.1", {"CPU": 0.0, "memory": 4.0 * GIB}),
    ("10.0.0.2", {"CPU": 8.0, "GPU": 2.0, "memory": 16.0 * GIB}),
    ("10.0.0.3", {"CPU": 4.0, "memory": 64.0 * GIB, "rtx4090": 1.0}),
]


@pytest.mark.parametrize(
    "demand",
    [
        {"CPU": 8.0},
        {"CPU": 1.0, "GPU": 0.5, "memory": 16.0 * GIB},
        {"CPU": 4.0, "memory": 64.0 * GIB, "rtx4090": 1.0},
    ],
)
def test_what_one_node_has_is_accepted(demand):
    require_schedulable(NODES, demand)


@pytest.mark.parametrize(
    ("nodes", "demand", "message"),
    [
        (
            NODES,
            {"CPU": 1.0, "GPU": 1.0, "rtx4090": 1.0},
            "1 CPU, 1 GPU and 1 rtx4090 per trial, but no node has all of it: the nearest, "
            "10.0.0.2, has 0 rtx4090; lower resources.custom, or connect to another cluster.",
        ),
        (
            NODES,
            {"CPU": 6.0, "memory": 128.0 * GIB},
            "6 CPUs and 128 GiB of memory per trial, but no node has all of it: the nearest, "
            "10.0.0.2, has 16 GiB of memory; lower resources.memory_gib, or connect to another "
            "cluster.",
        ),
        (
            NODES,
            {"CPU": 16.0, "GPU": 1.0, "a100": 1.0, "fast": 1.0},
            "16 CPUs, 1 GPU, 1 a100 and 1 fast per trial, but no node has all of it: the nearest, "
            "10.0.0.2, has 8 CPUs, 0 a100 and 0 fast; lower resources.cpus or resources.custom, "
            "or connect to another cluster.",
        ),
        ([], {"CPU": 1.0}, "1 CPU per trial, but no node is there; start one."),
    ],
)
def test_a_demand_that_no_node_has_is_refused_with_what_the_nearest_lacks(nodes, demand, message):
    with pytest.raises(ClusterError) as refused:
        require_schedulable(nodes, demand)
    assert str(refused.value) == f"resources require {message}"


def test_one_machine_may_have_several_nodes():
    nodes = [("10.0.0.1", {"CPU": 1.0, "lab": 1.0}), ("10.0.0.1", {"CPU": 1.0})]
    require_schedulable(nodes, {"CPU": 1.0, "lab": 1.0})


@pytest.fixture
def marker(tmp_path) -> Path:
    file = tmp_path / ".nodes-1"
    file.write_text("marker", encoding="utf-8")
    return file


def requirements(storage: Path, *readable: Path) -> NodeRequirements:
    return NodeRequirements(storage=storage, code=code_digest, readable=readable)


def test_this_machine_has_no_problems_and_no_file_is_left(marker, tmp_path):
    report = check_node("10.0.0.1", marker, requirements(tmp_path, tmp_path))
    assert problems_of(report, "marker", requirements(tmp_path, tmp_path)) == ()
    assert list(tmp_path.iterdir()) == [marker]


def test_versions_are_those_that_are_installed():
    import torch

    found = local_versions(code_digest)
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["this program's code"] not in ("", "missing")


@pytest.mark.parametrize("name", ["Python", "ray", "torch", "this program's code"])
def test_another_version_is_named_with_both(name, marker, tmp_path):
    report = check_node("10.0.0.1", marker, requirements(tmp_path))
    other = dataclasses.replace(report, versions={**report.versions, name: "0.1"})
    (problem,) = problems_of(other, "marker", requirements(tmp_path))
    assert problem == (
        f"node 10.0.0.1 has {name} 0.1, but the study's driver "
        f"{local_versions(code_digest)[name]}; install the same version on all machines."
    )


def test_a_storage_that_a_node_does_not_see_is_a_problem_with_its_remedy(tmp_path):
    report = check_node("10.0.0.1", tmp_path / "elsewhere" / "marker", requirements(tmp_path))
    (problem,) = problems_of(report, "marker", requirements(tmp_path))
    assert "node 10.0.0.1 must see the storage" in problem
    assert "No such file or directory; mount the same folder there" in problem


def test_another_folder_of_the_same_name_is_not_the_storage(marker, tmp_path):
    marker.write_text("another study", encoding="utf-8")
    report = check_node("10.0.0.1", marker, requirements(tmp_path))
    (problem,) = problems_of(report, "marker", requirements(tmp_path))
    assert "must see the storage" in problem


def test_a_storage_that_cannot_be_written_is_a_problem(disk, tmp_path):
    marker = disk.path / "marker"
    marker.write_text("marker", encoding="utf-8")
    disk.make_read_only()
    report = check_node("10.0.0.1", marker, requirements(tmp_path))
    (problem,) = problems_of(report, "marker", requirements(disk.path))
    assert f"must be able to write to {disk.path}, but: Read-only file system" in problem


def test_data_that_is_not_there_is_named(marker, tmp_path):
    report = check_node("10.0.0.1", marker, requirements(tmp_path, tmp_path / "data"))
    (problem,) = problems_of(report, "marker", requirements(tmp_path))
    assert (
        f"must see the same data, but: {tmp_path / 'data'}: No such file or directory" in problem
    )


def test_problems_of_all_kinds_are_reported_together(tmp_path):
    report = check_node(
        "10.0.0.1", tmp_path / "none" / "marker", requirements(tmp_path, tmp_path / "data")
    )
    other = dataclasses.replace(report, versions={})
    problems = problems_of(other, os.urandom(4).hex(), requirements(tmp_path))
    assert len(problems) == len(local_versions(code_digest)) + 2
