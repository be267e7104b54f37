"""Tune's searcher, which asks the coordinator for trials and passes results on to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota
from study.engine.protocol import ExecutionContext, TrialAssignment, Wait
from study.records.errors import StoreError
from study.storage.layout import TrialKey
from trainables.decoding import encode
from trainables.report import Report


class CoordinatorSearcher(Searcher):
    """Searcher that passes Tune's calls on to a coordinator.

    Tune pickles its searchers into the experiment's folder; of this one nothing is stored, as
    the trial store has everything.
    """

    def __init__(
        self, coordinator: TrialCoordinator, context: ExecutionContext, quota: ClusterQuota
    ) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._context = context
        self._quota = quota
        self._keys: dict[str, TrialKey] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial, None if Tune should ask again later, or ``FINISHED``."""
        # While no trial runs, Tune calls only this method.
        self._quota.update()
        step = self._coordinator.ask(self._quota.limit)
        if isinstance(step, Wait):
            return None
        if not isinstance(step, TrialAssignment):
            return Searcher.FINISHED  # type: ignore[return-value] # Tune compares with this text
        self._keys[trial_id] = step.key
        return trainable_config(step, self._context)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report a result, if it is an evaluation."""
        if "metrics" in result:
            values = json.loads(result["metrics"])
            metrics = {name: tuple(replicas) for name, replicas in values.items()}
            usage = json.loads(result["usage"])
            report = Report(epoch=result["epoch"], metrics=metrics, usage=usage)
            self._coordinator.report(self._keys[trial_id], report)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial, unless it lost its process: see :class:`.tune_callbacks.StudyCallback`."""
        if error:
            return
        key, last = self._keys[trial_id], result or {}
        if "failure" in last:
            self._coordinator.tell_failure(key, last["failure"])
        elif "storage" in last:
            self._coordinator.stop(StoreError(last["storage"]))
        elif "stopped" not in last:
            self.on_trial_result(trial_id, last)
            self._coordinator.tell(key)

    def save(self, checkpoint_path: str) -> None:
        """Store nothing, in the file that Tune expects."""
        Path(checkpoint_path).write_text("{}", encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""

    def __getstate__(self) -> dict[str, Any]:
        """Exclude database and addresses from Tune's pickles."""
        return {}


def trainable_config(assignment: TrialAssignment, context: ExecutionContext) -> dict[str, Any]:
    """Return a trial as plain data for another process."""
    resources, data = context.spec.resources, context.data
    return {
        "key": str(assignment.key),
        "trial": encode(assignment.config),
        "folder": str(assignment.folder),
        "plugins": str(context.plugins) if context.spec.plugins else None,
        "data_root": str(data.root) if data.root else None,
        "cache": str(data.cache),
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "objective": context.spec.metric,
        "stop_file": str(context.stop_file),
        "timeout_s": resources.timeout_s,
        "replica_mode": resources.replica_mode,
        "keep_weights": resources.keep_models != "none",
    }
