"""What Tune calls: a searcher that asks the conductor, notes of lost trials, and a way out."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path
from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota
from study.engine.protocol import ExecutionContext, TrialAssignment, Wait
from study.records.errors import StoreError
from study.storage.layout import TrialKey
from trainables.decoding import encode
from trainables.report import Report

logger = logging.getLogger(__name__)

# Ray colors the names of its tasks.
_COLOR_CODE: Final = re.compile("\x1b\\[[0-9;]*m")
# A trial that was asked to stop does so within two seconds and then writes its checkpoint.
_CHECKPOINT_TIMEOUT_S: Final = 4.0


class CoordinatorSearcher(Searcher):
    """Passes Tune's questions and results on to a conductor.

    Tune pickles its searchers into the experiment's folder; of this one nothing is stored, as
    the ledger holds all that matters.
    """

    def __init__(
        self, coordinator: TrialCoordinator, context: ExecutionContext, quota: ClusterQuota
    ) -> None:
        """Serve one run of Tune."""
        super().__init__()
        self._coordinator = coordinator
        self._context = context
        self._quota = quota
        self._keys: dict[str, TrialKey] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Give the next trial, None if Tune should ask again later, or ``FINISHED``."""
        # While no trial runs, Tune asks here and calls nobody else.
        self._quota.update()
        step = self._coordinator.ask(self._quota.limit)
        if isinstance(step, Wait):
            return None
        if not isinstance(step, TrialAssignment):
            return Searcher.FINISHED  # type: ignore[return-value] # Tune compares with this text
        self._keys[trial_id] = step.key
        return trainable_config(step, self._context)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Store a report, unless it says that the trial failed."""
        if "metrics" in result:
            values = json.loads(result["metrics"])
            metrics = {name: tuple(replicas) for name, replicas in values.items()}
            usage = json.loads(result["usage"])
            report = Report(epoch=result["epoch"], metrics=metrics, usage=usage)
            self._coordinator.report(self._keys[trial_id], report)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial; one that lost its process for good is ended by :class:`FailureNotes`."""
        if error:
            return
        key, said = self._keys[trial_id], result or {}
        if "failure" in said:
            self._coordinator.tell_failure(key, said["failure"])
        elif "storage" in said:
            self._coordinator.stop(StoreError(said["storage"]))
        elif "stopped" not in said:
            self.on_trial_result(trial_id, said)
            self._coordinator.tell(key)

    def save(self, checkpoint_path: str) -> None:
        """Store nothing, in the file that Tune expects."""
        Path(checkpoint_path).write_text("{}", encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""

    def __getstate__(self) -> dict[str, Any]:
        """Keep database and addresses out of Tune's pickles."""
        return {}


class FailureCallback(Callback):
    """Ends trials that lost their process more often than allowed, with the reason."""

    def __init__(self, coordinator: TrialCoordinator) -> None:
        """Serve one run of Tune."""
        self._coordinator = coordinator

    def on_trial_recover(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Log that a trial goes on from its checkpoint."""
        logger.warning("%s lost its process and continues: %s", _key(trial), _reason(trial))

    def on_trial_error(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """End the trial, unless it lost its process because the run ends."""
        if not self._coordinator.is_stopping:
            self._coordinator.tell_failure(_key(trial), _reason(trial))

    def __getstate__(self) -> dict[str, Any]:
        """Keep database and addresses out of Tune's pickles."""
        return {}


class StopCallback(Callback):
    """Leaves Tune once the conductor stopped and no trial is left that could write a checkpoint.

    One that takes too long goes on from its last checkpoint when the study does. Left to itself
    Tune would wait another 15 s for processes that are only just being started.
    """

    def __init__(self, coordinator: TrialCoordinator) -> None:
        """Serve one run of Tune."""
        self._coordinator = coordinator
        self._stopping_since: float | None = None

    def on_step_end(self, iteration: int, trials: list[Trial], **_: object) -> None:  # noqa: ARG002 (Tune's)
        """Leave, if it is time.

        Raises:
            RunLeftError: If it is.
        """
        if not self._coordinator.is_stopping:
            return
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
        is_late = time.monotonic() - self._stopping_since > _CHECKPOINT_TIMEOUT_S
        if is_late or not any(trial.status == Trial.RUNNING for trial in trials):
            raise RunStoppedError

    def __getstate__(self) -> dict[str, Any]:
        """Keep database and addresses out of Tune's pickles."""
        return {}


class RunStoppedError(BaseException):
    """Nothing is left for Tune to do; no ``Exception``, for which it would clean up first."""


def trainable_config(assignment: TrialAssignment, context: ExecutionContext) -> dict[str, Any]:
    """Say a trial in the plain data that crosses to another process."""
    resources, data = context.spec.resources, context.data
    return {
        "key": str(assignment.key),
        "trial": encode(assignment.config),
        "folder": str(assignment.folder),
        "data_root": str(data.root) if data.root else None,
        "cache": str(data.cache),
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "objective": context.spec.metric,
        "stop_file": str(context.stop_file),
        "timeout_s": resources.timeout_s,
        "replica_mode": resources.replica_mode,
    }


def _key(trial: Trial) -> TrialKey:
    arm, phase, number = str(trial.config["key"]).split("/")
    return TrialKey(arm=arm, phase="final" if phase == "final" else "search", number=int(number))


def _reason(trial: Trial) -> str:
    file = trial.error_file
    text = Path(file).read_text(encoding="utf-8") if file else ""
    return f"the trial's process failed: {last_failure(text)}"


def last_failure(text: str) -> str:
    r"""Find the reason in Ray's error file: the end of its last failure.

    Example:
        >>> last_failure("Failure # 1 (occurred at noon)\nTraceback\nValueError: no\n")
        'ValueError: no'
    """
    last = _COLOR_CODE.sub("", text).rpartition("Failure #")[2]
    lines = [line.strip() for line in last.splitlines()]
    said = [line for line in lines[1:] if line]
    if not said:
        return "Ray gives no reason."
    # What raised an error has its own words at the end; what ended a process is told in sentences.
    is_raised = "Traceback" in last or "creation task" in said[0]
    return said[-1] if is_raised else " ".join(said)[:300]
