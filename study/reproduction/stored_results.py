"""Results of presets that come with the installation, and whether today's presets give them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from study.reproduction.paper_preset import at_scale, load_preset
from trainables.code_digest import code_digest

DIGEST_LENGTH = 16
"""Hexadecimal digits of the digests that a result states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """The table of one reproduction, as it was written.

    Attributes:
        file: Name of its CSV file in ``study/presets/results``.
        preset: Preset that was run.
        scale: Its scale.
        settings: Digest of the preset's study, see :func:`settings_digest`; empty if none was
            recorded.
        code: Digest of the training code that ran (:mod:`trainables.code_digest`), as long;
            empty if none was recorded.
        commit: Commit of the code that ran.
        rows: Its lines, a printed number or a difference to a control each.
    """

    file: str
    preset: str
    scale: str
    settings: str
    code: str
    commit: str
    rows: tuple[Mapping[str, str], ...]

    @property
    def is_current(self) -> bool:
        """Whether the preset has the same settings today."""
        return self.settings == settings_digest(at_scale(load_preset(self.preset), self.scale))

    @property
    def verdict(self) -> str:
        """What the result is worth today: which commit made it, and what has changed since."""
        made = f"{self.file}, of commit {self.commit[:7]}"
        if not self.is_current:
            return f"{made}: made with other settings than today's"
        if self.code != code_digest()[:DIGEST_LENGTH]:
            return f"{made}: made by other training code than today's"
        return made


def stored_results() -> tuple[StoredResult, ...]:
    """Read the results of the installation, by file name."""
    folder = files("study.presets") / "results"
    tables = sorted(file.name for file in folder.iterdir() if file.name.endswith(".csv"))
    found = []
    for name in tables:
        rows = tuple(csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines()))
        first = rows[0]
        found.append(
            StoredResult(
                file=name,
                preset=first["preset"],
                scale=first["scale"],
                settings=first["settings"],
                code=first.get("code", ""),
                commit=first["environment/commit"],
                rows=rows,
            )
        )
    return tuple(found)


def settings_digest(study: Mapping[str, Any]) -> str:
    """Return a digest of a preset's study at a scale, as plain data, in hexadecimal digits."""
    text = json.dumps(study, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
