"""Trials that would only repeat another: the same configuration under the same seeds.

A sampler proposes a point again where axes have few values, and arms may meet in one. What such a
trial would find is known: it gets the other's results without being trained.
"""

from __future__ import annotations

from pathlib import Path

from study.books import Books
from study.files import write_whole
from study.store.ledger import Entry
from study.trial_table import ParamValue, PhaseName
from trainables.attribution_maps import FILE_NAME


class Twins:
    """The complete trials of a study, found by what they trained; mutable as trials end."""

    def __init__(self, books: Books) -> None:
        """Know all trials that are complete."""
        self._books = books
        self._known: dict[_Point, list[Entry]] = {}
        for entry in books.entries():
            self.note(entry)

    def note(self, entry: Entry) -> None:
        """Take note of a trial that ended; only a complete one can be repeated."""
        if entry.state == "COMPLETE":
            self._known.setdefault(_point(entry), []).append(entry)

    def of(self, entry: Entry) -> Entry | None:
        """Give the earliest trial that trained exactly what this one would, or None."""
        # The same point is a matter of looking it up; a hash takes a third of a millisecond.
        candidates = self._known.get(_point(entry), [])
        if not candidates:
            return None
        wanted = self._books.config(entry).hash()
        return next((e for e in candidates if self._books.config(e).hash() == wanted), None)


def copy_maps(known: Path, folder: Path) -> None:
    """Copy a trial's attribution maps, if it has any, whole or not at all.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    if (known / FILE_NAME).exists():
        write_whole(folder / FILE_NAME, (known / FILE_NAME).read_bytes())


_Point = tuple[PhaseName, tuple[tuple[str, ParamValue], ...]]


def _point(entry: Entry) -> _Point:
    return entry.key.phase, tuple(sorted(entry.params.items()))
