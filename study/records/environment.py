"""Environment of a result: versions, hardware and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

# Set where this code runs outside its checkout.
COMMIT_VARIABLE = "CHALLENGER_COMMIT"

_PACKAGES = ("challenger-study", "torch", "torchvision", "ray", "optuna", "mlflow", "numpy")


def environment() -> Mapping[str, str]:
    """Return versions, hardware and commit as text by name."""
    facts = {name: version(name) for name in _PACKAGES}
    facts["python"] = platform.python_version()
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["processor"] = f"{_processor()}, {os.cpu_count()} cores"
    commit = git_commit()
    return {**facts, "commit": commit} if commit else facts


@cache
def git_commit() -> str | None:
    """Return the commit of this code, with ``-dirty`` if files differ; None if unknown."""
    if commit := os.environ.get(COMMIT_VARIABLE):
        return commit
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
