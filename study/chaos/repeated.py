"""Trials trained a second time, undisturbed and in one piece, to compare them bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from study.books import Books
from study.spec import StudySpec
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.trial import TrialPlace, run_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """What is needed to train trials of a study again.

    Attributes:
        spec: The study.
        books: Its trials.
        data: Where data is read from.
        scratch: An empty folder.
    """

    spec: StudySpec
    books: Books
    data: DataFolders
    scratch: Path

    def differences(self, entries: Sequence[Entry]) -> Mapping[str, tuple[str, ...]]:
        """Train trials again; gives what then differs, by trial."""
        torch.set_num_threads(self.spec.resources.cpus)
        return {str(entry.key): tuple(_differences(self, entry)) for entry in entries}


def most_disturbed(
    entries: Iterable[Entry], n_attempts: Callable[[Entry], int], seed: int, count: int
) -> tuple[Entry, ...]:
    """Choose complete trials that were interrupted most often, at random among equals.

    Args:
        entries: All trials.
        n_attempts: Gives how often a process took a trial up.
        seed: Chooses among equals.
        count: How many at most.
    """
    complete = [entry for entry in entries if entry.state == "COMPLETE"]
    random.Random(f"repeat {seed}").shuffle(complete)
    return tuple(sorted(complete, key=n_attempts, reverse=True)[:count])


def _differences(study: Repetition, entry: Entry) -> Iterator[str]:
    again = _train(study.books.config(entry), study.data, study.scratch / str(entry.key))
    stored = {report.epoch: report for report in study.books.reports_of(entry.key)}
    for epoch in sorted(set(again) | set(stored)):
        yield from _of_epoch(epoch, stored.get(epoch), again.get(epoch))


def _train(
    config: TrialConfig, data: DataFolders, folder: Path
) -> Mapping[int, Mapping[str, tuple[float, ...]]]:
    folder.mkdir(parents=True)
    place = TrialPlace(folder=folder, data=data, device=torch.device("cpu"))
    return {report.epoch: report.metrics for report in run_trial(config, place)}


def _of_epoch(
    epoch: int, stored: StoredReport | None, again: Mapping[str, tuple[float, ...]] | None
) -> Iterator[str]:
    if stored is None or again is None:
        yield f"epoch {epoch} {'is missing' if stored is None else 'is one too many'}"
        return
    for metric in sorted(set(stored.metrics) | set(again)):
        before, now = stored.metrics.get(metric), again.get(metric)
        if before != now:
            yield f"epoch {epoch} {metric}: {before} instead of {now}"
