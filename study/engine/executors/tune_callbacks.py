"""Tune's callback: slots of trials, trials that lost their process, the end of a stopped run."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial

from study.engine.coordinator import TrialCoordinator
from study.engine.executors.slots import ClusterQuota
from study.records.trial_table import PHASES
from study.storage.layout import TrialKey

logger = logging.getLogger(__name__)

# Ray colors the names of its tasks.
_COLOR_CODE: Final = re.compile("\x1b\\[[0-9;]*m")
# A trial stops within two seconds of the stop file and then writes its checkpoint.
_CHECKPOINT_TIMEOUT_S: Final = 4.0


class RunStoppedError(BaseException):
    """Tune has nothing left to do; no ``Exception``, for which it would clean up first."""


class StudyCallback(Callback):
    """Passes the events of one run of Tune to quota and coordinator.

    Leaves Tune once the coordinator stopped and no trial is left to write a checkpoint. A trial
    that takes too long continues from its last checkpoint in the next run. Otherwise Tune would
    wait another 15 s for processes that are being started.
    """

    def __init__(self, coordinator: TrialCoordinator, quota: ClusterQuota) -> None:
        self._coordinator = coordinator
        self._quota = quota
        self._stopping_since: float | None = None

    def on_step_end(self, iteration: int, trials: list[Trial], **_: object) -> None:  # noqa: ARG002 (Tune's)
        """Report the load; raise RunStoppedError if it is time to leave."""
        self._quota.update()
        if not self._coordinator.is_stopping:
            return
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
        is_late = time.monotonic() - self._stopping_since > _CHECKPOINT_TIMEOUT_S
        if is_late or not any(trial.status == Trial.RUNNING for trial in trials):
            raise RunStoppedError

    def on_trial_start(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Add a trial whose process has started."""
        self._quota.slot_acquired(trial.trial_id)

    def on_trial_complete(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Remove a trial that has ended."""
        self._quota.slot_released(trial.trial_id)

    def on_trial_recover(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Log that a trial lost its process and continues from its checkpoint."""
        self._quota.slot_released(trial.trial_id)
        logger.warning("%s lost its process and continues: %s", _key(trial), _reason(trial))

    def on_trial_error(self, *, trial: Trial, **_: object) -> None:  # type: ignore[override]
        """Fail a trial that lost its process too often, unless the run ends."""
        self._quota.slot_released(trial.trial_id)
        if not self._coordinator.is_stopping:
            self._coordinator.tell_failure(_key(trial), _reason(trial))

    def __getstate__(self) -> dict[str, Any]:
        """Exclude database and addresses from Tune's pickles."""
        return {}


def _key(trial: Trial) -> TrialKey:
    arm, phase, number = str(trial.config["key"]).split("/")
    known = next(one for one in PHASES if one == phase)
    return TrialKey(arm=arm, phase=known, number=int(number))


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
