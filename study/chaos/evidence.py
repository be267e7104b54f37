"""All that an audit looks at, read when the study has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from study.books import Books
from study.chaos.chronicle import Chronicle
from study.chaos.ledger_trial import LedgerTrial, read_ledger_trials
from study.chaos.litter import Litter, find_leaks, find_litter
from study.chaos.result_lines import ResultLines, read_result_lines
from study.chaos.review_artifact import lost_artifacts
from study.chaos.review_run import ReviewRun, expected_runs, read_review_runs
from study.options import Options
from study.rows import trial_table
from study.spec import StudySpec
from study.store.ends import End, read_end
from study.store.ledger import Ledger
from study.store.manifest import Manifest, read_manifest
from study.stored import load_stored
from study.tracking import projection
from study.tracking.context import review_of
from study.tracking.outbox import Outbox, Waiting
from study.tracking.standings import standing_entries
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A study that has ended, as it stands in each place that holds something of it.

    Attributes:
        spec: What was asked for.
        manifest: The same in the words of the ledger.
        table: The trials as the program itself reads them.
        ledger: The trials as they stand in the Optuna database.
        lines: Result files, by trial.
        ends: End files, by trial.
        expected_runs: Runs that MLflow must have.
        review_runs: Runs that it has.
        lost_artifacts: Files that MLflow must have and has not, or with another content.
        outbox: What waits for MLflow.
        litter: Files that should be gone.
        leaks: Files in which a password or token stands.
        repeated: Trials that were trained again undisturbed, with what then differed.
        chronicle: What happened.
    """

    spec: StudySpec
    manifest: Manifest
    table: TrialTable
    ledger: tuple[LedgerTrial, ...]
    lines: Mapping[str, ResultLines]
    ends: Mapping[str, End]
    expected_runs: Mapping[str, ReviewRun]
    review_runs: tuple[ReviewRun, ...]
    lost_artifacts: tuple[str, ...]
    outbox: Waiting
    litter: Litter
    leaks: tuple[str, ...]
    repeated: Mapping[str, tuple[str, ...]]
    chronicle: Chronicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the evidence of a study lies.

    Attributes:
        name: Name of the study.
        options: Where and how it ran.
        review_database: MLflow's SQLite file.
        review_artifacts: Where MLflow keeps files.
        open_folders: Folders in none of whose files a secret may stand.
        secrets: The secrets.
    """

    name: str
    options: Options
    review_database: Path
    review_artifacts: Path
    open_folders: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()


def gather(
    places: Places, chronicle: Chronicle, repeated: Mapping[str, tuple[str, ...]]
) -> Evidence:
    """Read everything; the study must have ended."""
    folder = places.options.storage.study(places.name)
    spec = load_stored(folder)
    books = read_books(places)
    table = trial_table(spec, folder, books)
    keys = [entry.key for entry in books.entries()]
    ends = {str(key): read_end(folder.end(key)) for key in keys}
    told = (*projection.everything(review_of(spec), table), *standing_entries(table))
    return Evidence(
        spec=spec,
        manifest=read_manifest(folder.manifest),
        table=table,
        ledger=read_ledger_trials(places.options.database_url, spec.name),
        lines={str(key): read_result_lines(folder.reports(key)) for key in keys},
        ends={key: end for key, end in ends.items() if end is not None},
        expected_runs=expected_runs(told),
        review_runs=read_review_runs(places.review_database, spec.name),
        lost_artifacts=tuple(
            lost_artifacts(folder.outbox, places.review_database, places.review_artifacts)
        ),
        outbox=Outbox(path=folder.outbox).waiting(),
        litter=find_litter(folder),
        leaks=find_leaks(places.open_folders, places.secrets),
        repeated=repeated,
        chronicle=chronicle,
    )


def read_books(places: Places) -> Books:
    """Read a study's trials as any command does that only looks."""
    folder = places.options.storage.study(places.name)
    spec = load_stored(folder)
    maximise = spec.direction == "maximise"
    return Books(spec, folder, Ledger(places.options.database_url, spec.name, maximise=maximise))
