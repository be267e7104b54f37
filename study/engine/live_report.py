"""The report of a study that runs, written by processes of lowest priority.

The driver starts ``python -m study.engine.live_report`` when there is something new; it reads the
study from its files, writes the report and queues MLflow's summary, and ends. It never uses more
than one core, gives way to everything else that runs, and no failure of it reaches the study.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec
from study.engine.publishing import publish_live_report
from study.records.trial_table import StoredReport
from study.storage.layout import StorageRoot, StudyFolder, TrialKey
from study.storage.trial_store import TrialRecord
from study.tracking.sync_process import import_path
from trainables.config import TrialConfig

# The database's URL may hold a password, and the command line of a process is public.
DATABASE_VARIABLE: Final = "CHALLENGER_DATABASE"

COMMAND: Final = (sys.executable, "-P", "-m", "study.engine.live_report")
LEAST_INTERVAL_S: Final = 60.0
_SHARE_OF_TRIALS: Final = 0.05
_LOWEST_PRIORITY: Final = 19
# Linux shares the CPU among sessions first; this file holds the priority of a whole session.
_SESSION_PRIORITY: Final = Path("/proc/self/autogroup")
_PARENT_CHECK_S: Final = 1.0
_STOP_TIMEOUT_S: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class RenewalSchedule:
    """When the report of a study is renewed.

    It is due with each new best trial of an arm's search, with each final trial, and when 5 % of
    the trials have ended since the last time; at most once in ``interval_s``.

    Attributes:
        is_maximized: Whether the objective is maximized.
        n_trials: Number of trials of the study.
        interval_s: Least time between two starts, in seconds.
        last_s: When the last one, or the study, started.
    """

    is_maximized: bool
    n_trials: int
    interval_s: float
    last_s: float
    _best: dict[str, float] = field(default_factory=dict)
    _n_ended: int = 0
    _has_news: bool = False

    def add(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        self._n_ended += 1
        if record.state != "COMPLETE" or record.value is None:
            return
        arm, value = record.key.arm, record.value if self.is_maximized else -record.value
        if record.key.phase == "final":
            self._has_news = True
        elif record.key.phase == "search" and value > self._best.get(arm, -math.inf):
            self._best[arm] = value
            self._has_news = True

    def is_due(self, now_s: float) -> bool:
        """Return whether the report is to be renewed now."""
        is_many = self._n_ended >= max(1.0, _SHARE_OF_TRIALS * self.n_trials)
        return (self._has_news or is_many) and now_s - self.last_s >= self.interval_s

    def start(self, now_s: float) -> None:
        """Note that the report is being renewed."""
        self.last_s, self._n_ended, self._has_news = now_s, 0, False


class LiveReport:
    """Renews the report of a study while it runs; a callback of the coordinator.

    Costs the driver a few milliseconds a minute.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        options: RunOptions,
        notify: Callable[[str], None],
        *,
        command: Sequence[str] | None = None,
        interval_s: float | None = None,
    ) -> None:
        """Serve one study.

        Args:
            spec: The study.
            folder: Its folder.
            options: Options of its run.
            notify: Shows a message to the user.
            command: What writes the report, without its arguments; by default this module.
            interval_s: Least time between two starts; a minute by default.
        """
        self._options, self._folder, self._notify = options, folder, notify
        self._command = command or COMMAND
        self._process: subprocess.Popen[bytes] | None = None
        self._said: set[str] = set()
        self._schedule = RenewalSchedule(
            is_maximized=spec.direction == "maximize",
            n_trials=sum(arm.search_budget + spec.final_budget(arm) for arm in spec.arms),
            interval_s=LEAST_INTERVAL_S if interval_s is None else interval_s,
            last_s=time.monotonic(),
        )

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Renew the report if it is due."""
        self._renew_if_due()

    def on_report(self, key: TrialKey, report: StoredReport) -> None:  # noqa: ARG002
        """Renew the report if it is due."""
        self._renew_if_due()

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Take in the trial, and renew the report if it is due."""
        self._schedule.add(record)
        self._renew_if_due()

    def stop(self) -> None:
        """End a process that still writes: what follows is newer."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _renew_if_due(self) -> None:
        now_s = time.monotonic()
        if self._is_writing() or not self._schedule.is_due(now_s):
            return
        self._schedule.start(now_s)
        log_path = self._folder.logs / "live-report.log"
        arguments = (str(self._options.storage.root), self._folder.path.name, str(os.getpid()))
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self._command, *arguments],
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            self._say(f"the report so far is not renewed: {error.strerror or error}.")

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, **import_path(), "OMP_NUM_THREADS": "1"}
        environment.pop(DATABASE_VARIABLE, None)
        if self._options.database is not None:
            environment[DATABASE_VARIABLE] = self._options.database
        return environment

    def _is_writing(self) -> bool:
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self._process = None
        if code == 0:
            self._say(f"report so far: {self._folder.report / 'report.html'}")
        else:
            self._say(
                f"the report so far was not renewed; {self._folder.logs / 'live-report.log'} "
                "says why. The study goes on."
            )
        return False

    def _say(self, text: str) -> None:
        """Show a message, once in a run."""
        if text not in self._said:
            self._said.add(text)
            self._notify(text)


def main(storage: Path, name: str, parent_pid: int) -> None:
    """Write the report of a study in its present state, and queue MLflow's summary."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # An exception, after which no temporary file is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=_end_with, args=(parent_pid,), daemon=True).start()
    database = os.environ.pop(DATABASE_VARIABLE, None)
    options = RunOptions(storage=StorageRoot(root=storage), database=database)
    publish_live_report(name, options)


def lower_priority() -> None:
    """Set the lowest priority: beside busy processes this one gets about 1.5 % of a core."""
    os.nice(_LOWEST_PRIORITY)
    with suppress(OSError):
        # Not everywhere; without it the process' own priority counts.
        _SESSION_PRIORITY.write_text(str(_LOWEST_PRIORITY), encoding="ascii")


def _end_with(parent_pid: int) -> None:
    """End this process when its parent has ended."""
    while os.getppid() == parent_pid:
        time.sleep(_PARENT_CHECK_S)
    os._exit(0)


if __name__ == "__main__":
    lower_priority()
    root, study_name, driver = sys.argv[1:]
    main(Path(root), study_name, int(driver))
