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
import resource, sys
from pathlib import Path
from study.conductor import Conductor
from study.store.folder import Storage
from study.store.ledger import Ledger
from study.stored import load_stored
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
storage = Storage(root=Path(sys.argv[1]))
folder = storage.study("bench")
ledger = Ledger(storage.database_url, "bench", maximise=True, must_exist=True)
conductor = Conductor(load_stored(folder), folder, ledger, ())
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Much:
    """The figures.

    Attributes:
        trials: Trials of the study.
        driver_mib: Most resident memory of a driver that has opened the study.
        driver_own_mib: What of it the study is, and not the program.
        open_s: How long opening the study takes a driver.
        status_s: How long ``status`` takes, start of the program included.
        report_s: How long ``report`` takes, likewise.
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
    before, after = (int(word) / 1024 for word in said.split())
    where = ("--storage", str(root))
    status_s, _ = _timed(*_PROGRAM, "status", "bench", *where)
    report_s, _ = _timed(*_PROGRAM, "report", "bench", *where)
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
