"""What a study with very many trials costs whoever drives it, looks at it or writes its report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.bench.large_study import make_large_study
from study.options import Options
from study.store.folder import Storage

# `-P`: a folder called study in the current one is not our package.
_PROGRAM: Final = ("-P", "-c", "from study.cli.main import main; main()")
_DRIVER: Final = """
import sys
from pathlib import Path
from study.conductor import Conductor
from study.store.folder import Storage
from study.store.ledger import Ledger
from study.stored import load_stored
from trainables.usage import resident_bytes
storage = Storage(root=Path(sys.argv[1]))
folder = storage.study("bench")
ledger = Ledger(storage.database_url, "bench", maximise=True, must_exist=True)
before = resident_bytes()
conductor = Conductor(load_stored(folder), folder, ledger, ())
print(before, resident_bytes())
"""
# As the command does it, but for MLflow, which would have to be told all trials first.
_REPORT: Final = """
import sys
from pathlib import Path
from study.options import Options
from study.review import publish
from study.store.folder import Storage
from study.stored import load_stored, read_table
from study.tracking.context import review_of
from study.tracking.outbox import Outbox
storage = Storage(root=Path(sys.argv[1]))
folder = storage.study("bench")
table = read_table("bench", Options(storage=storage))
review = review_of(load_stored(folder))
publish(table, folder, Outbox(path=folder.outbox), review)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Much:
    """The figures.

    Times include the start of the program.

    Attributes:
        trials: Trials of the study.
        driver_mib: Resident memory of a driver that has opened the study.
        driver_own_mib: What of it the study is, and not the program.
        open_s: How long opening the study takes a driver.
        status_s: How long ``status`` takes.
        report_s: How long writing the report takes, and queueing it for MLflow.
    """

    trials: int
    driver_mib: float
    driver_own_mib: float
    open_s: float
    status_s: float
    report_s: float

    def as_data(self) -> dict[str, Any]:
        """Give the figures as plain data."""
        return {
            "trials": self.trials,
            "driver_mib": self.driver_mib,
            "driver_mib_for_trials": self.driver_own_mib,
            "open_seconds": self.open_s,
            "status_seconds": self.status_s,
            "report_seconds": self.report_s,
        }


def measure_much(root: Path, trials: int) -> Much:
    """Make a study of so many trials and measure, each in a process of its own.

    Args:
        root: An empty folder.
        trials: Trials of its search.
    """
    make_large_study(Options(storage=Storage(root=root)), trials)
    open_s, said = _timed("-P", "-c", _DRIVER, str(root))
    before, after = (int(word) / 2**20 for word in said.split())
    status_s, _ = _timed(*_PROGRAM, "status", "bench", "--storage", str(root))
    report_s, _ = _timed("-P", "-c", _REPORT, str(root))
    return Much(
        trials=trials,
        driver_mib=after,
        driver_own_mib=after - before,
        open_s=open_s,
        status_s=status_s,
        report_s=report_s,
    )


def _timed(*arguments: str) -> tuple[float, str]:
    """Run Python; gives the seconds that took, and what it said.

    Raises:
        CalledProcessError: If it failed; a benchmark that failed has no figure.
    """
    home = str(Path(__file__).resolve().parents[2])
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": home},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.monotonic() - began, ended.stdout
