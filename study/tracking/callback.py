"""The callback that queues a study's events for MLflow in the outbox."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Collection, Iterable, Sequence

from study.config.study_spec import StudySpec
from study.records.environment import git_commit
from study.records.trial_table import StoredReport, TrialRow
from study.results.build import arm_row, flat_settings, trial_row
from study.storage.layout import StudyFolder, TrialKey
from study.storage.provenance import read_provenance
from study.storage.trial_store import TrialRecord
from study.tracking import mlflow_records
from study.tracking.mlflow_records import TrackedStudy
from study.tracking.record_types import MlflowRecord
from trainables.config import TrialConfig
from trainables.metrics import METRICS


def tracked_study(spec: StudySpec) -> TrackedStudy:
    """Describe a study to MLflow."""

    def config_hash(row: TrialRow) -> str:
        arm = spec.arm(row.arm)
        is_final = row.phase == "final"
        return arm.trial_config(row.params, row.seeds, is_final=is_final).hash()

    return TrackedStudy(
        study=spec.name,
        objective=spec.metric,
        higher_is_better={
            f"{split}/{name}": metric.higher_is_better
            for name, metric in METRICS.items()
            for split in ("val", "test")
        },
        settings={arm.name: flat_settings(arm) for arm in spec.arms},
        dimensions=_in_order(arm.space.dimensions for arm in spec.arms),
        swept=_in_order(arm.sweeps() for arm in spec.arms),
        config_hash=config_hash,
        git_commit=git_commit(),
        user=getpass.getuser(),
    )


def _in_order(names: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return all names once; those of the arm with the most come first, in its order."""
    return tuple(dict.fromkeys(name for of in sorted(names, key=len, reverse=True) for name in of))


class TrackingCallback:
    """Turns events of trials into records for MLflow."""

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        tracked: TrackedStudy,
        put: Callable[[Iterable[MlflowRecord]], None],
    ) -> None:
        """Serve one study, whose records go to ``put``."""
        self._spec, self._folder, self._tracked, self._put = spec, folder, tracked, put
        provenance = read_provenance(folder.provenance)
        self._arms = {arm.name: arm_row(arm, provenance) for arm in spec.arms}

    def on_trial_start(self, entry: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Open the trial's run, and its arm's if it is the first."""
        row = trial_row(self._spec, self._folder, entry, ())
        arm = self._arms[entry.key.arm]
        # A run that is open already keeps its first opening.
        opened = mlflow_records.open_arm(self._tracked, arm, entry.started_ms)
        self._put([opened, mlflow_records.open_trial(self._tracked, arm, row)])

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        """Log a report."""
        self._put([mlflow_records.log_report(mlflow_records.trial_key(key), report)])

    def on_trial_end(self, entry: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """Close the trial's run."""
        row = trial_row(self._spec, self._folder, entry, reports)
        self._put(mlflow_records.trial_end_records(self._tracked, row))
