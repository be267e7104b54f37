"""What a machine of a cluster has, and what of it keeps a trial from being trained there."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from uuid import uuid4

# What must be the same everywhere: pickles, checkpoints and results depend on them.
_PACKAGES: Final = ("ray", "torch", "torchvision", "numpy")
_ABSENT: Final = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What trials need of a node.

    Attributes:
        storage: Folder that all nodes share, in which trials keep their checkpoints.
        code: Identifies the code that trains; every node must be able to import it.
        readable: Folders that trials read, such as the data root.
    """

    storage: Path
    code: Callable[[], str]
    readable: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What was found on a node.

    Attributes:
        address: The node's.
        versions: Of Python and of packages, or ``missing``.
        mark: What the driver's mark in the storage reads there, or why it cannot be read.
        write_error: Why nothing can be written beside the mark; empty if it can.
        unreadable: Folders that are not there or cannot be listed, with the reason.
    """

    address: str
    versions: Mapping[str, str]
    mark: str
    write_error: str
    unreadable: Sequence[str]


def facts_here(address: str, mark: Path, needs: Needs) -> NodeFacts:
    """Look around on the machine that this runs on."""
    try:
        text = mark.read_text(encoding="utf-8")
    except OSError as error:
        text = error.strerror or str(error)
    return NodeFacts(
        address=address,
        versions=versions_here(needs.code),
        mark=text,
        write_error=_write_error(mark),
        unreadable=tuple(filter(None, map(_read_error, needs.readable))),
    )


def versions_here(code: Callable[[], str]) -> Mapping[str, str]:
    """Give the versions that must agree, without importing what they are of."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {"Python": platform.python_version(), **packages, "this program's code": code()[:12]}


def complaints_of(facts: NodeFacts, mark: str, needs: Needs) -> tuple[str, ...]:
    """Say in sentences what keeps a node from training; none if nothing does.

    Args:
        facts: What was found there.
        mark: What the mark must read.
        needs: What was asked for.
    """
    where = f"node {facts.address}"
    ours = versions_here(needs.code)
    said = [
        f"{where} has {name} {facts.versions.get(name, _ABSENT)}, but the study's driver {here}; "
        "install the same version on all machines."
        for name, here in ours.items()
        if facts.versions.get(name) != here
    ]
    if facts.mark != mark:
        said.append(
            f"{where} must see the storage {needs.storage}, which all nodes share, but: "
            f"{facts.mark}; mount the same folder there, or name a shared one with --storage."
        )
    elif facts.write_error:
        said.append(
            f"{where} must be able to write to {needs.storage}, but: {facts.write_error}; let "
            "the account that Ray runs under write there."
        )
    said += [
        f"{where} must see the same data, but: {text}; mount it." for text in facts.unreadable
    ]
    return tuple(said)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT


def _write_error(mark: Path) -> str:
    probe = mark.with_name(f"{mark.name}-{uuid4().hex}")
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
