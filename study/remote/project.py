"""This program as it is brought to a cluster, so that driver and trials run the same code."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from study.environment import COMMIT_VARIABLE, git_commit

_PACKAGES: Final = ("study", "trainables", "search_spaces", "cluster")
# `-P`: a folder called study in the current one is not our package.
PROGRAM: Final = "python -P -m study"


def packages() -> tuple[Path, ...]:
    """Give the folders of the packages that the program consists of."""
    found = (importlib.util.find_spec(name) for name in _PACKAGES)
    return tuple(
        Path(spec.submodule_search_locations[0])
        for spec in found
        if spec is not None and spec.submodule_search_locations
    )


def environment() -> Mapping[str, str]:
    """Give what the code itself cannot tell once it has left its checkout."""
    commit = git_commit()
    return {COMMIT_VARIABLE: commit} if commit else {}
