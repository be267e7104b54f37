"""Trials trained a second time, undisturbed and in one piece, to compare them bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from study.books import Books, trial_config
from study.spec import StudySpec
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.trial import TrialPlace, run_trial


def repeat_some(
    spec: StudySpec, books: Books, data: DataFolders, scratch: Path, seed: int, count: int
) -> Mapping[str, tuple[str, ...]]:
    """Train some complete trials again; gives what differs, by trial.

    Args:
        spec: The study.
        books: Its trials.
        data: Where data is read from.
        scratch: An empty folder.
        seed: Chooses the trials.
        count: How many at most.
    """
    complete = [entry for entry in books.entries() if entry.state == "COMPLETE"]
    chosen = random.Random(f"repeat {seed}").sample(complete, min(count, len(complete)))
    torch.set_num_threads(spec.resources.cpus)
    return {
        str(entry.key): tuple(_differences(spec, books, entry, data, scratch)) for entry in chosen
    }


def _differences(
    spec: StudySpec, books: Books, entry: Entry, data: DataFolders, scratch: Path
) -> Iterator[str]:
    config = trial_config(spec, spec.arm(entry.key.arm), entry)
    again = _train(config, data, scratch / str(entry.key))
    stored = {report.epoch: report for report in books.reports_of(entry.key)}
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
