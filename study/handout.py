"""What a conductor gives to executors, and what it tells listeners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from study.store.folder import TrialKey
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A trial to train, from the beginning or from its newest checkpoint."""

    key: TrialKey
    config: TrialConfig
    folder: Path


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be begun until a running trial ends."""


@dataclass(frozen=True, slots=True)
class Done:
    """All trials have ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more is begun in this run: trials that run write a checkpoint and stop."""


Next: TypeAlias = Assignment | Wait | Done | Stop


class Listener(Protocol):
    """Is told, in order, what happens to trials; must return at once.

    It may raise a StoreError, which stops the run.
    """

    def began(self, entry: Entry, config: TrialConfig) -> None:
        """A trial was handed out, for the first time or again."""

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """A new evaluation was stored."""

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:
        """A trial was told."""
