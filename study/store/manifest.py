"""What a study asks for, in plain JSON, so that ``status`` answers without loading torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from study.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A study in the words of its ledger.

    Attributes:
        name: Name of the study.
        metric: What trials are compared by.
        direction: ``maximise`` or ``minimise``.
        search: Arm to the number of its search trials.
        final: Arm to the number of its final trials, as far as it is known before the search.
    """

    name: str
    metric: str
    direction: str
    search: Mapping[str, int]
    final: Mapping[str, int]

    def encode(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self), indent=2)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a study.

    Raises:
        SpecError: If there is no study there.
    """
    if not path.exists():
        study = path.parent
        known = ", ".join(sorted(p.parent.name for p in study.parent.glob(f"*/{path.name}")))
        raise SpecError(
            f"there is no study {study.name!r} in {study.parent}; known: {known or 'none'}."
        )
    return Manifest(**json.loads(path.read_text(encoding="utf-8")))
