"""Checks of nodes: resources that no node has, and what keeps a node from training."""

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


def schedulable_error(nodes, demand) -> str:
    with pytest.raises(ClusterError) as refused:
        require_schedulable(nodes, demand)
    return str(refused.value)


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


def test_what_two_nodes_have_together_fits_on_neither():
    assert schedulable_error(NODES, {"CPU": 1.0, "GPU": 1.0, "rtx4090": 1.0}) == (
        "resources ask for 1 CPU, 1 GPU and 1 rtx4090 per trial, but no node has all of it: the "
        "nearest, 10.0.0.2, has 0 rtx4090; lower resources.custom, or connect to another cluster."
    )


def test_the_nearest_node_is_named_with_all_that_it_lacks():
    assert schedulable_error(NODES, {"CPU": 6.0, "memory": 128.0 * GIB}) == (
        "resources ask for 6 CPUs and 128 GiB of memory per trial, but no node has all of it: the "
        "nearest, 10.0.0.2, has 16 GiB of memory; lower resources.memory_gib, or connect to "
        "another cluster."
    )
    assert schedulable_error(NODES, {"CPU": 16.0, "GPU": 1.0, "a100": 1.0, "fast": 1.0}) == (
        "resources ask for 16 CPUs, 1 GPU, 1 a100 and 1 fast per trial, but no node has all of "
        "it: the nearest, 10.0.0.2, has 8 CPUs, 0 a100 and 0 fast; lower resources.cpus or "
        "resources.custom, or connect to another cluster."
    )


def test_one_machine_may_have_several_nodes():
    nodes = [("10.0.0.1", {"CPU": 1.0, "lab": 1.0}), ("10.0.0.1", {"CPU": 1.0})]
    require_schedulable(nodes, {"CPU": 1.0, "lab": 1.0})


def test_a_cluster_without_nodes_is_an_error():
    assert schedulable_error([], {"CPU": 1.0}) == (
        "resources ask for 1 CPU per trial, but no node is there; start one."
    )


@pytest.fixture
def mark(tmp_path) -> Path:
    file = tmp_path / ".nodes-1"
    file.write_text("said", encoding="utf-8")
    return file


def requirements(storage: Path, *readable: Path) -> NodeRequirements:
    return NodeRequirements(storage=storage, code=code_digest, readable=readable)


def test_this_machine_has_no_problems_and_no_file_is_left(mark, tmp_path):
    report = check_node("10.0.0.1", mark, requirements(tmp_path, tmp_path))
    assert problems_of(report, "said", requirements(tmp_path, tmp_path)) == ()
    assert list(tmp_path.iterdir()) == [mark]


def test_versions_are_those_that_are_installed():
    import torch

    found = local_versions(code_digest)
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["this program's code"] not in ("", "missing")


@pytest.mark.parametrize("name", ["Python", "ray", "torch", "this program's code"])
def test_another_version_is_named_with_both(name, mark, tmp_path):
    report = check_node("10.0.0.1", mark, requirements(tmp_path))
    other = dataclasses.replace(report, versions={**report.versions, name: "0.1"})
    (said,) = problems_of(other, "said", requirements(tmp_path))
    assert said == (
        f"node 10.0.0.1 has {name} 0.1, but the study's driver "
        f"{local_versions(code_digest)[name]}; install the same version on all machines."
    )


def test_a_storage_that_a_node_does_not_see_is_a_problem_with_its_remedy(tmp_path):
    report = check_node("10.0.0.1", tmp_path / "elsewhere" / "mark", requirements(tmp_path))
    (said,) = problems_of(report, "said", requirements(tmp_path))
    assert "node 10.0.0.1 must see the storage" in said
    assert "No such file or directory; mount the same folder there" in said


def test_another_folder_of_the_same_name_is_not_the_storage(mark, tmp_path):
    mark.write_text("said by another study", encoding="utf-8")
    report = check_node("10.0.0.1", mark, requirements(tmp_path))
    (said,) = problems_of(report, "said", requirements(tmp_path))
    assert "must see the storage" in said


def test_a_storage_that_cannot_be_written_is_a_problem(disk, tmp_path):
    mark = disk.path / "mark"
    mark.write_text("said", encoding="utf-8")
    disk.make_read_only()
    report = check_node("10.0.0.1", mark, requirements(tmp_path))
    (said,) = problems_of(report, "said", requirements(disk.path))
    assert f"must be able to write to {disk.path}, but: Read-only file system" in said


def test_data_that_is_not_there_is_named(mark, tmp_path):
    report = check_node("10.0.0.1", mark, requirements(tmp_path, tmp_path / "data"))
    (said,) = problems_of(report, "said", requirements(tmp_path))
    assert f"must see the same data, but: {tmp_path / 'data'}: No such file or directory" in said


def test_problems_of_all_kinds_are_reported_together(tmp_path):
    report = check_node(
        "10.0.0.1", tmp_path / "none" / "mark", requirements(tmp_path, tmp_path / "data")
    )
    other = dataclasses.replace(report, versions={})
    said = problems_of(other, os.urandom(4).hex(), requirements(tmp_path))
    assert len(said) == len(local_versions(code_digest)) + 2
