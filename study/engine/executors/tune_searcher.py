"""Tune's searcher, which asks the coordinator, and callbacks for lost trials and for the stop."""

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
# A trial stops within two seconds of the stop file and then writes its checkpoint.
_CHECKPOINT_TIMEOUT_S: Final = 4.0


class CoordinatorSearcher(Searcher):
    """Searcher that passes Tune's calls on to a coordinator.

    Tune pickles its searchers into the experiment's folder; of this one nothing is stored, as
    the trial store has everything.
    """

    def __init__(
        self, coordinator: TrialCoordinator, context: ExecutionContext, quota: ClusterQuota
    ) -> None:
        """Create the searcher of one run of Tune."""
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
        """End a trial, unless it lost its process: see :class:`FailureCallback`."""
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


class FailureCallback(Callback):
    """Fails trials that lost their process more often than allowed, with the reason."""

    def __init__(self, coordinator: TrialCoordinator) -> None:
        """Create the callback of one run of Tune."""
        self._coordinator = coordinator

    def on_trial_recover(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Log that a trial continues from its checkpoint."""
        logger.warning("%s lost its process and continues: %s", _key(trial), _reason(trial))

    def on_trial_error(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Fail the trial, unless it lost its process because the run ends."""
        if not self._coordinator.is_stopping:
            self._coordinator.tell_failure(_key(trial), _reason(trial))

    def __getstate__(self) -> dict[str, Any]:
        """Exclude database and addresses from Tune's pickles."""
        return {}


class StopCallback(Callback):
    """Leaves Tune once the coordinator stopped and no trial is left to write a checkpoint.

    A trial that takes too long continues from its last checkpoint in the next run. Otherwise Tune
    would wait another 15 s for processes that are being started.
    """

    def __init__(self, coordinator: TrialCoordinator) -> None:
        """Create the callback of one run of Tune."""
        self._coordinator = coordinator
        self._stopping_since: float | None = None

    def on_step_end(self, iteration: int, trials: list[Trial], **_: object) -> None:  # noqa: ARG002 (Tune's)
        """Raise RunStoppedError if it is time to leave."""
        if not self._coordinator.is_stopping:
            return
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
        is_late = time.monotonic() - self._stopping_since > _CHECKPOINT_TIMEOUT_S
        if is_late or not any(trial.status == Trial.RUNNING for trial in trials):
            raise RunStoppedError

    def __getstate__(self) -> dict[str, Any]:
        """Exclude database and addresses from Tune's pickles."""
        return {}


class RunStoppedError(BaseException):
    """Tune has nothing left to do; no ``Exception``, for which it would clean up first."""


def trainable_config(assignment: TrialAssignment, context: ExecutionContext) -> dict[str, Any]:
    """Return a trial as plain data for another process."""
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
    r"""Return the reason in Ray's error file: the end of its last failure.

    Example:
        >>> last_failure("Failure # 1 (occurred at noon)\nTraceback\nValueError: no\n")
        'ValueError: no'
    """
    last = _COLOR_CODE.sub("", text).rpartition("Failure #")[2]
    lines = [line.strip() for line in last.splitlines()]
    rest = [line for line in lines[1:] if line]
    if not rest:
        return "Ray gives no reason."
    # An exception has its message in the last line; the end of a process is described in several.
    is_raised = "Traceback" in last or "creation task" in rest[0]
    return rest[-1] if is_raised else " ".join(rest)[:300]
