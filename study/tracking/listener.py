"""Queues for MLflow what the conductor says; a queue on local disk, never MLflow itself."""

from __future__ import annotations

from collections.abc import Sequence

from study.rows import arm_row, trial_row
from study.spec import StudySpec
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Entry
from study.store.provenance import read_provenance
from study.tracking import projection
from study.tracking.outbox import Outbox
from study.trial_table import ArmRow, StoredReport
from trainables.config import TrialConfig


class TrackingListener:
    """Turns events of trials into entries of the outbox."""

    def __init__(
        self, spec: StudySpec, folder: StudyFolder, review: projection.Review, outbox: Outbox
    ) -> None:
        """Serve one study."""
        self._spec = spec
        self._folder = folder
        self._review = review
        self._outbox = outbox
        self._held = read_provenance(folder.provenance)
        self._arms: dict[str, ArmRow] = {}

    def began(self, entry: Entry, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Open the trial's run, and its arm's if it is the first."""
        row = trial_row(self._spec, self._folder, entry, ())
        known = self._arms.get(entry.key.arm)
        if known is not None:
            self._outbox.put(projection.trial_opened(self._review, known, row))
            return
        arm = arm_row(self._spec.arm(entry.key.arm), self._held)
        opened = projection.arm_opened(self._review, arm, entry.started_ms)
        self._outbox.put([*opened, *projection.trial_opened(self._review, arm, row)])
        self._arms[arm.name] = arm

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """Log a report."""
        self._outbox.put(projection.report_logged(projection.trial_key(key), report))

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:
        """Close the trial's run."""
        row = trial_row(self._spec, self._folder, entry, reports)
        self._outbox.put(projection.trial_closed(self._review, row))
