"""The protocol between coordinator, executors and callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from study.config.study_spec import StudySpec
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from trainables.config import TrialConfig
from trainables.datasets import DataFolders


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAssignment:
    """A trial to train, from its start or from its newest checkpoint."""

    key: TrialKey
    config: TrialConfig
    folder: Path


@dataclass(frozen=True, slots=True)
class Wait:
    """No trial can start until a running one ends."""


@dataclass(frozen=True, slots=True)
class Done:
    """All trials have ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No trial starts in this run: running ones write a checkpoint and stop."""


AskResult: TypeAlias = TrialAssignment | Wait | Done | Stop


class Callback(Protocol):
    """Called, in order, with the events of trials; must return at once.

    A StoreError that it raises stops the run.
    """

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        """Handle the first or a repeated assignment of a trial."""

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        """Handle a new evaluation, after it was stored."""

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """Handle the end of a trial, after it was stored."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """What an executor needs to run the trials of a study.

    Attributes:
        spec: The study.
        data: Folders of the data.
        scratch: A folder for Ray's own files, on storage that all nodes share; emptied.
        plugins: The study's copies of its plug-ins, on the same storage.
        stop_file: Tells trials to stop if it exists, on the same storage.
        address: Address of a running Ray, or None for one of the study's own.
        notify: Shows a message to the user, from any thread.
    """

    spec: StudySpec
    data: DataFolders
    scratch: Path
    plugins: Path
    stop_file: Path
    address: str | None = None
    notify: Callable[[str], None] = logger.info
