"""The study that is measured, with everything on that a real one has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from study.conductor import Conductor
from study.executors import Surroundings
from study.files import write_whole
from study.handout import Listener
from study.options import Options
from study.progress import ProgressListener
from study.review import start_delivery
from study.rows import trial_table
from study.spec import StudySpec, parse
from study.store.clerk import Clerk
from study.store.folder import Storage, StudyFolder
from study.store.lease import lease
from study.store.ledger import Ledger
from study.store.provenance import write_provenance
from study.tracking.context import review_of
from study.tracking.delivery import Delivery
from study.tracking.listener import TrackingListener
from study.tracking.outbox import Outbox
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A study in the making, as :func:`study.runner.run` makes it.

    Attributes:
        spec: The study.
        options: Where it is kept.
        conductor: Hands out its trials.
        delivery: The process that empties its outbox into MLflow.
    """

    spec: StudySpec
    options: Options
    conductor: Conductor
    delivery: Delivery

    @property
    def folder(self) -> StudyFolder:
        """The study's folder."""
        return self.options.storage.study(self.spec.name)

    def require_whole(self) -> None:
        """Raise what ended its training before its end, if anything did.

        Raises:
            StudyError: If its storage failed, or another process took it over.
        """
        if self.conductor.stop_error is not None:
            raise self.conductor.stop_error

    def table(self) -> TrialTable:
        """Give all its trials."""
        return trial_table(self.spec, self.folder, self.conductor.books)

    def surroundings(self, address: str | None = None) -> Surroundings:
        """Say where its trials run: on a Ray of its own, or at an address."""
        return Surroundings(
            spec=self.spec,
            data=self.options.data,
            scratch=self.folder.ray,
            stop_file=self.folder.stop,
            address=address,
        )


def bench_text(**changes: Any) -> str:  # noqa: ANN401 (YAML)
    """Write the study of ``study.yaml``.

    Args:
        changes: Sections below ``defaults`` to the keys that are changed in them; ``resources``
            is the study's own.
    """
    text = (files("study.bench") / "study.yaml").read_text(encoding="utf-8")
    study: dict[str, Any] = yaml.safe_load(text)
    study["resources"] = changes.pop("resources", {})
    for section, values in changes.items():
        study["defaults"].setdefault(section, {}).update(values)
    return yaml.safe_dump(study, sort_keys=False)


@contextmanager
def arena(
    root: Path,
    text: str,
    listeners: Sequence[Listener],
    say: Callable[[str], None],
    *,
    clocked: Callable[[Listener], Listener] = lambda listener: listener,
    database: str | None = None,
) -> Iterator[Arena]:
    """Begin a study, and end its delivery and its lease, whatever happens.

    Args:
        root: An empty folder, which becomes the storage root.
        text: The study file.
        listeners: Are told of trials before the study's own listeners.
        say: Told what a user would be told.
        clocked: Puts a clock around what queues for MLflow, if that is measured.
        database: URL of its database; None for a file in the storage root.
    """
    options = Options(storage=Storage(root=root), database=database)
    spec = parse(text, "study/bench")
    folder = options.storage.study(spec.name)
    options.storage.prepare()
    with lease(folder, options.database_url, say, say):
        write_whole(folder.spec, text)
        write_provenance(folder.provenance, {})
        tracking = TrackingListener(spec, folder, review_of(spec), Outbox(path=folder.outbox))
        ledger = Ledger(options.database_url, spec.name, maximise=True)
        courier = start_delivery(folder, options)
        try:
            with (folder.logs / "driver.log").open("w", encoding="utf-8") as log:
                progress = ProgressListener(spec, Console(file=log))
                told = (*listeners, clocked(tracking), clocked(courier), progress)
                conductor = Conductor(spec, folder, ledger, told, clerk=Clerk(say))
                yield Arena(spec=spec, options=options, conductor=conductor, delivery=courier)
        finally:
            courier.stop()
