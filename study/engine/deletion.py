"""The deletion of a study: its experiment, its rows and its folder, together."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator

from study.config.run_options import RunOptions
from study.config.schema import check_name
from study.records.errors import SpecError
from study.storage.database import has_tables
from study.storage.layout import RESERVED_NAMES
from study.storage.lease import lease
from study.storage.trial_store import TrialStore
from study.tracking.experiment_deletion import delete_experiment
from study.tracking.study_identity import read_identity
from trainables.errors import ConfigError

_log = logging.getLogger(__name__)


def delete_study(name: str, options: RunOptions) -> tuple[str, ...]:
    """Delete a study and return what was deleted, in words; again after an interruption.

    Args:
        name: Name of the study; its folder may be gone already.
        options: Options of the command line.

    Raises:
        SpecError: If there is nothing of a study of that name.
        BusyError: If a process runs it.
        TrackingError: If MLflow does not delete its experiment; the rest is then left as well.
        StoreError: If the database cannot be opened, or the folder cannot be deleted.
    """
    _require_name(name)
    folder, url = options.storage.study(name), options.database_url
    if folder.path.exists() or has_tables(url):
        has_folder = folder.path.exists()
        with lease(folder, url, _log.warning):
            deleted = [*_delete_experiment(name, options), *_delete_rows(name, url)]
            # Last: with it the study is gone for every command.
            try:
                shutil.rmtree(folder.path)
            except OSError as error:
                raise folder.write_error(error) from None
        deleted += [str(folder.path)] if has_folder else []
    else:
        deleted = [*_delete_experiment(name, options)]
    if not deleted:
        raise SpecError(f"there is no study {name!r} in {options.storage.root}.")
    return tuple(deleted)


def _require_name(name: str) -> None:
    try:
        check_name("NAME", name)
    except ConfigError as error:
        raise SpecError(f"{error}") from None
    if name in RESERVED_NAMES:
        raise SpecError(f"NAME must be that of a study, but {name!r} is a part of the storage.")


def _delete_experiment(name: str, options: RunOptions) -> Iterator[str]:
    folder = options.storage.study(name).path
    if options.tracking_uri is not None and read_identity(folder) is None:
        # On a shared server an experiment of that name may be another storage's.
        return
    if delete_experiment(folder, options.storage.artifacts, options.tracking):
        yield f"the experiment {name!r} in MLflow"


def _delete_rows(name: str, url: str) -> Iterator[str]:
    # The direction does not matter: nothing is created.
    if has_tables(url) and TrialStore(url, name, maximize=True).clear_all():
        yield f"the trials of {name!r} in the Optuna database"
