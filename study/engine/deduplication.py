"""Trials that would only repeat another: the same configuration under the same seeds.

A sampler proposes a point again where axes have few values, and arms may meet in one. What such a
trial would find is known: it gets the other's results without being trained.
"""

from __future__ import annotations

from pathlib import Path

from study.records.trial_table import ParamValue, PhaseName
from study.results.state import StudyState
from study.storage.atomic_write import write_atomic
from study.storage.trial_store import TrialRecord
from trainables.attribution_maps import FILE_NAME


class DuplicateTrials:
    """The complete trials of a study, found by what they trained; mutable as trials end."""

    def __init__(self, state: StudyState) -> None:
        """Know all trials that are complete."""
        self._state = state
        self._known: dict[_PointKey, list[TrialRecord]] = {}
        for record in state.records():
            self.add(record)

    def add(self, record: TrialRecord) -> None:
        """Take note of a trial that ended; only a complete one can be repeated."""
        if record.state == "COMPLETE":
            self._known.setdefault(_point_key(record), []).append(record)

    def find(self, record: TrialRecord) -> TrialRecord | None:
        """Give the earliest trial that trained exactly what this one would, or None."""
        # The same point is a matter of looking it up; a hash takes a third of a millisecond.
        candidates = self._known.get(_point_key(record), [])
        if not candidates:
            return None
        wanted = self._state.config(record).hash()
        return next((e for e in candidates if self._state.config(e).hash() == wanted), None)


def copy_attribution_maps(known: Path, folder: Path) -> None:
    """Copy a trial's attribution maps, if it has any, whole or not at all.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    if (known / FILE_NAME).exists():
        write_atomic(folder / FILE_NAME, (known / FILE_NAME).read_bytes())


_PointKey = tuple[PhaseName, tuple[tuple[str, ParamValue], ...]]


def _point_key(record: TrialRecord) -> _PointKey:
    return record.key.phase, tuple(sorted(record.params.items()))
