"""The process that sends the outbox to MLflow, and how the driver starts and ends it.

MLflow is never called in the driver's process: a server that is slow, unavailable or wrong delays
the mirror and nothing else. ``python -m study.tracking.sync_process`` is started by ``start``. It
may be killed at any moment: a run is looked up by its key before it is made, and a point that is
sent twice is stored once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.outbox import Outbox, PendingRecords
from study.tracking.record_types import MlflowRecord
from study.tracking.study_identity import ensure_identity, read_identity
from study.tracking.sync import IDLE_PAUSE_S, MlflowSync
from study.tracking.tracking_uri import TrackingUri, secrets

# The address may hold a password, and the command line of a process is public.
ADDRESS_VARIABLE: Final = "CHALLENGER_TRACKING_URI"

# Importing MLflow takes 3 to 20 s, depending on what else the machine does.
_STARTUP_TIMEOUT_S: Final = 60.0

# A call to MLflow that lasts longer is cut off, which is safe.
_TERMINATE_TIMEOUT_S: Final = 2.0

_RESTART_DELAY_S: Final = 30.0

_log = logging.getLogger(__name__)


def main(outbox: Path, experiment: str, artifacts: Path, parent_pid: int) -> None:
    """Send the outbox while the parent lives; see :func:`start` for the arguments."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # At once, even in a call to MLflow: that is safe, and Python takes seconds to leave.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    address = TrackingUri.parse(os.environ.pop(ADDRESS_VARIABLE, ""))
    os.environ.update(child_environment(address))
    sync = MlflowSync(
        outbox=Outbox(path=outbox),
        mirror=MlflowMirror(
            address=address,
            experiment=experiment,
            artifacts=artifacts,
            identity=read_identity(outbox.parent),
        ),
        should_stop=lambda: os.getppid() != parent_pid,
        secrets=secrets(address, os.environ),
    )
    with outbox.with_name(f"{outbox.name}.lock").open("w") as lock:
        if _acquire(lock, sync.should_stop):
            sync.run()


def _acquire(lock: IO[str], should_stop: Callable[[], bool]) -> bool:
    """Wait until no other process sends the outbox; False if it should stop before."""
    _log.info("waiting for %s", lock.name)
    while not should_stop():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(IDLE_PAUSE_S)
        else:
            return True
    return False


def child_environment(address: TrackingUri) -> dict[str, str]:
    """Return settings that make MLflow fail quickly (by default it retries for minutes)."""
    settings = {
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    if address.user is not None:
        settings["MLFLOW_TRACKING_USERNAME"] = address.user
        settings["MLFLOW_TRACKING_PASSWORD"] = address.password or ""
    return settings


@dataclass(slots=True, kw_only=True)
class SyncProcess:
    """The synchronizing process, and the queue that it sends, as its parent sees them."""

    outbox: Outbox
    process: subprocess.Popen[bytes]
    _launch: Callable[[], subprocess.Popen[bytes]]
    _launched_at: float = field(default_factory=time.monotonic)

    def put(self, records: Iterable[MlflowRecord]) -> None:
        """Queue records, and start the process again if it died some time ago."""
        self.outbox.put(records)
        # One that dies at once is not started again in a row.
        if time.monotonic() - self._launched_at > _RESTART_DELAY_S:
            self._restart_if_dead()

    def _restart_if_dead(self) -> None:
        if self.process.poll() is not None:
            self._launched_at = time.monotonic()
            self.process = self._launch()

    def finish(
        self, timeout_s: float, on_progress: Callable[[PendingRecords], None]
    ) -> PendingRecords:
        """Wait until the process has sent what is left and ended, as long as it makes progress.

        Args:
            timeout_s: How long it may send nothing, counted from its first attempt.
            on_progress: Called a few times a second with what is left.

        Returns:
            What could not be sent. It stays in the outbox, for the next start.
        """
        self.outbox.set_flag("finish", "yes")
        if self.outbox.pending().records:
            self._restart_if_dead()
        before, since = self.outbox.pending(), time.monotonic()
        while self.process.poll() is None:
            now = self.outbox.pending()
            on_progress(now)
            if (now.records, now.last_sent_ms) != (before.records, before.last_sent_ms):
                before, since = now, time.monotonic()
            has_started = self.outbox.flag("attempted") is not None
            timeout_now_s = timeout_s if has_started else max(timeout_s, _STARTUP_TIMEOUT_S)
            if time.monotonic() - since > timeout_now_s:
                break
            time.sleep(0.2)
        self.stop()
        return self.outbox.pending()

    def stop(self) -> None:
        """End the process now; what is left stays in the outbox."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=_TERMINATE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start(
    outbox_path: Path, experiment: str, artifacts: Path, tracking_uri: str, log_path: Path
) -> SyncProcess:
    """Start the process that sends an outbox to MLflow. It ends when this process does.

    Ctrl-C at the terminal does not reach it. Costs this process a few milliseconds.

    Args:
        outbox_path: The outbox, on a local disk, in the folder of its study.
        experiment: Name of the MLflow experiment.
        artifacts: Folder for artifacts where MLflow is a database without a server.
        tracking_uri: MLflow's address. It is handed over in the environment.
        log_path: File that the process appends its log to.

    Raises:
        TrackingError: If the address is none that MLflow's client understands.
        StoreError: If the outbox cannot be written.
    """
    TrackingUri.parse(tracking_uri)
    outbox = Outbox(path=outbox_path.absolute())
    outbox.set_flag("finish", None)
    ensure_identity(outbox.path.parent)
    command = [sys.executable, "-P", "-m", "study.tracking.sync_process"]
    command += [str(outbox.path), experiment, str(artifacts.absolute()), str(os.getpid())]
    environment = {**os.environ, **import_path(), ADDRESS_VARIABLE: tracking_uri}

    def launch() -> subprocess.Popen[bytes]:
        outbox.set_flag("attempted", None)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    return SyncProcess(outbox=outbox, process=launch(), _launch=launch)


def import_path() -> dict[str, str]:
    """Return a PYTHONPATH from which the child imports this very package.

    ``study`` is an ordinary word: without ``-P`` a folder of that name in the current folder
    would be imported instead.
    """
    home = str(Path(__file__).resolve().parents[2])
    if home in {*site.getsitepackages(), site.getusersitepackages()}:
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": home if not inherited else f"{home}{os.pathsep}{inherited}"}


if __name__ == "__main__":
    outbox_path, name, folder, pid = sys.argv[1:]
    main(Path(outbox_path), name, Path(folder), int(pid))
    logging.shutdown()
    # The study waits for this process to end; freeing what MLflow has imported takes a second.
    os._exit(0)
