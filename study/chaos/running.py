"""A whole run of chaos: arena, blows, audit, account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from study.chaos.accounting import Account, account
from study.chaos.arena import Arena, arena
from study.chaos.audit import audit
from study.chaos.check import Check, no_difference
from study.chaos.chronicle import Chronicle
from study.chaos.evidence import Evidence, gather, read_books
from study.chaos.plan import plan
from study.chaos.repeated import Repetition, most_disturbed
from study.chaos.storm import Storm
from study.stored import load_stored
from trainables.attempts import read_attempts

# Each takes about as long as a trial.
_REPEATED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a run of chaos shall be.

    Attributes:
        root: An empty folder.
        seconds: How long blows are struck.
        seed: Chooses the blows, and seeds the study.
        database: ``sqlite`` or ``postgresql``.
    """

    root: Path
    seconds: float
    seed: int
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run of chaos ended.

    Attributes:
        checks: The audit.
        account: What the blows cost.
    """

    checks: tuple[Check, ...]
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether everything that was looked at is as it must be."""
        return all(check.is_ok for check in self.checks)


def run_chaos(wish: Wish, tell: Callable[[str], None]) -> Verdict:
    """Run a study under blows and audit it; everything that was started has ended on return.

    Args:
        wish: What is wanted.
        tell: Told each event, in a line.

    Raises:
        ClusterError: If Ray's nodes or the database cannot be started.
        TrackingError: If MLflow's server cannot be started.
    """
    with arena(wish.root, wish.database, wish.seed, tell) as place:
        blows = plan(wish.seed, wish.seconds)
        storm = Storm(arena=place, blows=blows, seconds=wish.seconds, tell=tell)
        chronicle = storm.run()
        place.driver.end()
        tell(f"auditing; {_REPEATED} trials are trained again")
        evidence = _evidence(place, chronicle, wish)
        cost = _cost(place, evidence)
    left = no_difference("processes left", "none", place.processes())
    return Verdict(checks=(*audit(evidence), left), account=cost)


def _evidence(place: Arena, chronicle: Chronicle, wish: Wish) -> Evidence:
    spec, books = load_stored(place.folder), read_books(place.places)
    chosen = most_disturbed(
        books.entries(),
        lambda entry: len(read_attempts(place.folder.trial(entry.key))),
        wish.seed,
        _REPEATED,
    )
    data = place.places.options.data
    again = Repetition(spec=spec, books=books, data=data, scratch=place.root / "again")
    return gather(place.places, chronicle, again.differences(chosen))


def _cost(place: Arena, evidence: Evidence) -> Account:
    attempts = {
        f"{row.arm}/{row.phase}/{row.number}": read_attempts(place.folder.path / row.folder)
        for row in evidence.table.rows
    }
    return account(evidence.chronicle, evidence.table, attempts)
