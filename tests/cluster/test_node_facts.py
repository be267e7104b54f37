"""What keeps a machine from training, said in sentences that name it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from cluster.node_facts import Needs, complaints_of, facts_here, versions_here
from trainables.code import code_digest


@pytest.fixture
def mark(tmp_path) -> Path:
    file = tmp_path / ".nodes-1"
    file.write_text("said", encoding="utf-8")
    return file


def needs(storage: Path, *readable: Path) -> Needs:
    return Needs(storage=storage, code=code_digest, readable=readable)


def test_this_machine_has_nothing_to_complain_of_and_keeps_nothing(mark, tmp_path):
    facts = facts_here("10.0.0.1", mark, needs(tmp_path, tmp_path))
    assert complaints_of(facts, "said", needs(tmp_path, tmp_path)) == ()
    assert list(tmp_path.iterdir()) == [mark]


def test_versions_are_those_that_are_installed():
    import torch

    found = versions_here(code_digest)
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["this program's code"] not in ("", "missing")


@pytest.mark.parametrize("name", ["Python", "ray", "torch", "this program's code"])
def test_another_version_is_named_with_both(name, mark, tmp_path):
    facts = facts_here("10.0.0.1", mark, needs(tmp_path))
    other = dataclasses.replace(facts, versions={**facts.versions, name: "0.1"})
    (said,) = complaints_of(other, "said", needs(tmp_path))
    assert said == (
        f"node 10.0.0.1 has {name} 0.1, but the study's driver "
        f"{versions_here(code_digest)[name]}; install the same version on all machines."
    )


def test_a_storage_that_the_node_does_not_see_is_said_with_what_to_do(tmp_path):
    facts = facts_here("10.0.0.1", tmp_path / "elsewhere" / "mark", needs(tmp_path))
    (said,) = complaints_of(facts, "said", needs(tmp_path))
    assert "node 10.0.0.1 must see the storage" in said
    assert "No such file or directory; mount the same folder there" in said


def test_another_folder_of_the_same_name_is_not_the_storage(mark, tmp_path):
    mark.write_text("said by another study", encoding="utf-8")
    facts = facts_here("10.0.0.1", mark, needs(tmp_path))
    (said,) = complaints_of(facts, "said", needs(tmp_path))
    assert "must see the storage" in said


def test_a_storage_that_cannot_be_written_is_said(disk, tmp_path):
    mark = disk.path / "mark"
    mark.write_text("said", encoding="utf-8")
    disk.make_read_only()
    facts = facts_here("10.0.0.1", mark, needs(tmp_path))
    (said,) = complaints_of(facts, "said", needs(disk.path))
    assert f"must be able to write to {disk.path}, but: Read-only file system" in said


def test_data_that_is_not_there_is_named(mark, tmp_path):
    facts = facts_here("10.0.0.1", mark, needs(tmp_path, tmp_path / "data"))
    (said,) = complaints_of(facts, "said", needs(tmp_path))
    assert f"must see the same data, but: {tmp_path / 'data'}: No such file or directory" in said


def test_facts_of_all_kinds_are_said_at_once(tmp_path):
    facts = facts_here("10.0.0.1", tmp_path / "none" / "mark", needs(tmp_path, tmp_path / "data"))
    other = dataclasses.replace(facts, versions={})
    said = complaints_of(other, os.urandom(4).hex(), needs(tmp_path))
    assert len(said) == len(versions_here(code_digest)) + 2
