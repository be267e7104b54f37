"""A study that was begun, read as it stands."""

from __future__ import annotations

from study.books import Books
from study.options import Options
from study.rows import trial_table
from study.spec import StudySpec, parse, with_sweeps
from study.store.folder import StudyFolder
from study.store.ledger import Ledger
from study.store.manifest import read_manifest
from study.trial_table import TrialTable


def stored_text(folder: StudyFolder) -> str:
    """Read the study file of a study that was begun.

    Raises:
        SpecError: If there is none of that name.
    """
    read_manifest(folder.manifest)
    return folder.spec.read_text(encoding="utf-8")


def load_stored(folder: StudyFolder) -> StudySpec:
    """Read the study of a folder, with the sweeps added at the command line.

    Raises:
        SpecError: If there is none of that name.
    """
    return with_sweeps(parse(stored_text(folder), str(folder.spec)), folder)


def read_table(name: str, options: Options) -> TrialTable:
    """Read all trials of a study as it stands; changes nothing.

    Raises:
        SpecError: If there is none of that name.
    """
    folder = options.storage.study(name)
    spec = load_stored(folder)
    maximise = spec.direction == "maximise"
    is_named = options.database is not None
    ledger = Ledger(options.database_url, spec.name, maximise=maximise, must_exist=is_named)
    return trial_table(spec, folder, Books(spec, folder, ledger))
