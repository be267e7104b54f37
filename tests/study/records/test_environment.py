"""Environment of a result."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version

import pytest

from study.records import environment as module
from study.records.environment import environment, git_commit


def test_versions_hardware_and_commit_are_named() -> None:
    facts = environment()
    for package in ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy"):
        assert facts[package] == version(package)
    assert facts["processor"].endswith(f", {os.cpu_count()} cores")
    assert facts["python"].count(".") == 2
    assert facts.get("commit") == git_commit()


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    git_commit.cache_clear()
    monkeypatch.setattr(subprocess, "run", missing)
    assert git_commit() is None
    assert "commit" not in environment()
    git_commit.cache_clear()


def test_a_machine_that_does_not_describe_its_processor_still_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(module.Path, "read_text", missing)
    assert module._processor()
