"""The protocol between coordinator, executors and callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from study.config import StudySpec
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from trainables.config import TrialConfig
from trainables.datasets import DataFolders


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAssignment:
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


AskResult: TypeAlias = TrialAssignment | Wait | Done | Stop


class Callback(Protocol):
    """Is told, in order, what happens to trials; must return at once.

    It may raise a StoreError, which stops the run.
    """

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        """A trial was handed out, for the first time or again."""

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        """A new evaluation was stored."""

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """A trial was told."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """Where trials run and what they may use.

    Attributes:
        spec: The study.
        data: Where data is read from.
        scratch: A folder for Ray's own files, on storage that all nodes share; emptied.
        stop_file: Where the conductor asks the trials to stop, on the same storage.
        address: Address of a running Ray, or None for one of the study's own.
        say: Told what people should know, from any thread.
    """

    spec: StudySpec
    data: DataFolders
    scratch: Path
    stop_file: Path
    address: str | None = None
    say: Callable[[str], None] = logger.info
