"""A measured study, which has everything that a real one has, and its databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import psycopg
import yaml
from rich.console import Console

from cluster.postgres import PostgresServer, create_postgres
from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import ExecutionContext
from study.engine.progress_display import ProgressCallback
from study.engine.protocol import Callback
from study.engine.publishing import start_sync
from study.records.trial_table import TrialTable
from study.results.build import build_trial_table
from study.storage.atomic_write import write_atomic
from study.storage.layout import StorageRoot, StudyFolder
from study.storage.lease import lease
from study.storage.provenance import write_provenance
from study.storage.sqlite import sqlite_url
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import TrialStore
from study.tracking.callback import TrackingCallback, tracked_study
from study.tracking.sync_process import SyncProcess

DatabaseKind: TypeAlias = Literal["sqlite", "postgresql"]

_BARE: Final = "bare"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePair:
    study: str | None
    bare: str


@contextmanager
def databases(kind: DatabaseKind, root: Path) -> Iterator[DatabasePair]:
    """Create two databases on one disk, and end the server if there is one."""
    if kind == "sqlite":
        yield DatabasePair(study=None, bare=sqlite_url(root / "bare.db"))
        return
    # Root's PostgreSQL is run by another user, who must be able to pass.
    root.chmod(0o711)
    create_postgres(root / "postgres")
    server = PostgresServer(root / "postgres", stops_with_parent=True)
    server.start()
    try:
        address = server.url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as control:
            control.execute(f"CREATE DATABASE {_BARE}")
        yield DatabasePair(study=server.url, bare=server.database_url(_BARE))
    finally:
        server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStudy:
    """A running study, made as by :func:`study.engine.run.run_study`."""

    spec: StudySpec
    options: RunOptions
    coordinator: TrialCoordinator
    sync: SyncProcess

    @property
    def folder(self) -> StudyFolder:
        return self.options.storage.study(self.spec.name)

    def require_whole(self) -> None:
        if self.coordinator.stop_error is not None:
            raise self.coordinator.stop_error

    def table(self) -> TrialTable:
        return build_trial_table(self.spec, self.folder, self.coordinator.state)

    def context(self, address: str | None = None) -> ExecutionContext:
        return ExecutionContext(
            spec=self.spec,
            data=self.options.data,
            scratch=self.folder.ray,
            plugins=self.folder.plugins,
            stop_file=self.folder.stop,
            address=address,
        )


def bench_text(**changes: Any) -> str:  # noqa: ANN401 (YAML)
    text = (files("tests.benchmarks") / "study.yaml").read_text(encoding="utf-8")
    study: dict[str, Any] = yaml.safe_load(text)
    study["resources"] = changes.pop("resources", {})
    for section, values in changes.items():
        study["defaults"].setdefault(section, {}).update(values)
    return yaml.safe_dump(study, sort_keys=False)


@contextmanager
def measured_study(
    root: Path,
    text: str,
    callbacks: Sequence[Callback],
    on_message: Callable[[str], None],
    *,
    clocked: Callable[[Callback], Callback] = lambda callback: callback,
    database: str | None = None,
) -> Iterator[MeasuredStudy]:
    """Begin a study, and end its synchronization and its lease in any case."""
    options = RunOptions(storage=StorageRoot(root=root), database=database)
    spec = parse(text, "tests/benchmarks")
    folder = options.storage.study(spec.name)
    options.storage.prepare()
    with lease(folder, options.database_url, on_message, on_message):
        write_atomic(folder.spec, text)
        write_provenance(folder.provenance, {})
        store = TrialStore(options.database_url, spec.name, maximize=True)
        sync = start_sync(folder, options)
        tracking = TrackingCallback(spec, folder, tracked_study(spec), sync.put)
        try:
            with (folder.logs / "driver.log").open("w", encoding="utf-8") as log:
                progress = ProgressCallback(spec, Console(file=log))
                every = (*callbacks, clocked(tracking), progress)
                coordinator = TrialCoordinator(
                    spec, folder, store, every, writer=StoreWriter(on_message)
                )
                yield MeasuredStudy(spec=spec, options=options, coordinator=coordinator, sync=sync)
        finally:
            sync.stop()
