"""A study's copies of its plug-ins, from which workers and later commands import them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from study.records.errors import SpecError
from study.storage.atomic_write import write_atomic
from trainables.plugins import SAVED_LIST, contents, read_saved_digests


def check_plugins(plugins: Mapping[str, str], folder: Path, where: str) -> None:
    """Refuse a plug-in whose content is not that with which the study was started.

    Args:
        plugins: Module to digest, as they are now.
        folder: The study's copies.
        where: The study file, for the message.

    Raises:
        SpecError: If one differs.
    """
    for module, digest in read_saved_digests(folder).items():
        now = plugins.get(module)
        if now != digest:
            change = "is no longer used" if now is None else "has changed since"
            raise SpecError(
                f"{where}: study {folder.parent.name!r} was begun with plug-in {module!r}, which "
                f"{change}; put back what is in {folder}, or give the study another name."
            )


def save_plugins(plugins: Mapping[str, str], folder: Path) -> None:
    """Copy loaded plug-ins into a folder, and list them there with their digests.

    Raises:
        StoreError: If it cannot be written.
    """
    known = read_saved_digests(folder)
    further = {module: digest for module, digest in plugins.items() if module not in known}
    for module in further:
        for path, content in contents(module).items():
            write_atomic(folder / path, content, is_durable=True)
    if further:
        listing = json.dumps({**known, **further}, indent=2, sort_keys=True)
        write_atomic(folder / SAVED_LIST, listing, is_durable=True)
