"""The overhead of a study per trial, compared with bare Optuna and stock Tune.

The study runs on a local Ray, with its database, result files, checkpoints, outbox and sync
process; only its trials cost nothing. It is paused after every block of trials, while as many are
asked and told by Optuna alone, on a database of the same kind on the same disk, and some are run
by stock Tune, on the same Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import optuna

from search_spaces import Space
from search_spaces.optuna_sampler import make_sampler, suggest_params
from study.engine.executors import run_on_ray
from study.records.errors import TrackingError
from study.records.trial_table import StoredReport
from study.storage.database import open_database
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from tests.benchmarks import Quartiles, as_plain_data, paired_ratio, quartiles
from tests.benchmarks.measured_study import (
    DatabaseKind,
    DatabasePair,
    MeasuredStudy,
    bench_text,
    databases,
    measured_study,
)
from trainables.config import TrialConfig


def efficiency(slots: int, trial_s: float, driver_s: float) -> float:
    """Return the share of the slots' time in which trials train; 0 if the driver falls behind.

    A slot is idle while the driver handles its trial's request, reports and end, and while these
    wait for those of other slots: a queue with one server, random arrivals, equal work (M/D/1).

    Returns:
        Between 0 and 1; 0 where the driver would never catch up.

    Example:
        >>> round(efficiency(1, trial_s=9.9, driver_s=0.1), 4)
        0.99
    """
    # The load of the other slots.
    load = (slots - 1) * driver_s / trial_s
    if load >= 1:
        return 0.0
    waiting_s = load * driver_s / (2 * (1 - load))
    return trial_s / (trial_s + driver_s + waiting_s)


def largest_cluster(trial_s: float, driver_s: float, least: float = 0.95) -> int:
    """Return the most slots with at least this efficiency; 0 if not even one has it.

    Example:
        >>> largest_cluster(trial_s=10.0, driver_s=0.1)
        90
        >>> largest_cluster(trial_s=1.0, driver_s=0.1)
        0
    """
    low, high = 0, int(trial_s / driver_s) + 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if efficiency(middle, trial_s, driver_s) >= least else (low, middle)
        )
    return low


class BareOptuna:
    """A search without trials between ask and tell. Has mutable state: its Optuna study."""

    def __init__(self, url: str, space: Space, *, startup_trials: int, reports: int) -> None:
        self._space = space
        self._reports = reports
        self._study = optuna.create_study(
            storage=open_database(url), sampler=make_sampler("tpe", 0, startup_trials)
        )

    def run(self, trials: int) -> float:
        began = time.monotonic()
        for _ in range(trials):
            trial = self._study.ask()
            suggest_params(trial, self._space)
            value = (float(trial.params["alpha"]) - 0.6) ** 2
            for step in range(1, self._reports + 1):
                trial.report(value, step)
            self._study.tell(trial, value)
        return (time.monotonic() - began) / trials


@dataclass(slots=True, kw_only=True)
class BlockTimer:
    """A callback that times blocks of trials; must be the first callback. Mutable."""

    every: int
    on_pause: Callable[[int], None]
    seconds: list[float] = field(default_factory=list)
    first_report_s: float | None = None
    _begun: int = 0
    _since: float = 0.0

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        """Count a trial, and stop the clock if it is the first of a block."""
        if self._begun % self.every == 0:
            if self._begun:
                self.seconds.append(time.monotonic() - self._since)
            self.on_pause(self._begun // self.every)
            self._since = time.monotonic()
        self._begun += 1

    def on_report(self, key: TrialKey, report: StoredReport) -> None:  # noqa: ARG002
        if self.first_report_s is None:
            self.first_report_s = time.monotonic()

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """Do nothing."""


BLOCKS: Final = 8
_REPORTS: Final = 4
_STOCK_TRIALS: Final = 2
_TRIAL_S: Final = (10, 60, 600)
_SYNC_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Seconds per trial, after the first start, and their ratios within each block."""

    trials: int
    slots: int
    start_up_s: float
    study: Quartiles
    bare_optuna: Quartiles
    stock_tune: Quartiles
    to_bare_optuna: Quartiles
    to_stock_tune: Quartiles

    def as_data(self) -> dict[str, Any]:
        spreads = {
            "seconds_per_trial": self.study,
            "bare_optuna_seconds_per_trial": self.bare_optuna,
            "stock_tune_seconds_per_trial": self.stock_tune,
            "ratio_to_bare": self.to_bare_optuna,
            "ratio_of_stock_tune": self.to_stock_tune,
        }
        return {
            "trials": self.trials,
            "slots": self.slots,
            "start_up_seconds": self.start_up_s,
            **as_plain_data(spreads),
            "blocks": self.study.rounds,
            "largest_cluster": {str(s): n for s, n in self.largest_clusters()},
        }

    def largest_clusters(self) -> Iterator[tuple[int, int]]:
        """Yield a trial's seconds and how many at a time one driver keeps busy to 95 %."""
        for trial_s in _TRIAL_S:
            yield trial_s, largest_cluster(float(trial_s), self.study.median)


def measure_overhead(
    root: Path,
    trials: int,
    slots: int,
    on_message: Callable[[str], None] = lambda _: None,
    kind: DatabaseKind = "sqlite",
) -> Overhead:
    """Run a study of trials that cost nothing, and the others in between."""
    every = max(1, trials // BLOCKS)
    search = {"trials": every * (BLOCKS + 1) + 1}
    with databases(kind, root) as found:
        comparisons = _Comparisons(
            root=root, databases=found, every=every, slots=slots, on_message=on_message
        )
        block_timer = BlockTimer(every=every, on_pause=comparisons.on_pause)
        study = measured_study(
            root / "study",
            bench_text(search=search),
            [block_timer],
            on_message,
            database=found.study,
        )
        with study as built:
            comparisons.measured_study = built
            began = time.monotonic()
            run_on_ray(built.coordinator, built.context(), _idle, cpus=slots)
            built.require_whole()
    assert block_timer.first_report_s is not None
    start_up_s = block_timer.first_report_s - began - comparisons.seconds[0]
    return _overhead(block_timer, comparisons, start_up_s)


@dataclass(slots=True, kw_only=True)
class _Comparisons:
    """What is measured while the study stands still; mutable as it goes on."""

    root: Path
    databases: DatabasePair
    every: int
    slots: int
    on_message: Callable[[str], None]
    measured_study: MeasuredStudy | None = None
    bare: list[float] = field(default_factory=list)
    stock: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _optuna: BareOptuna | None = None

    def on_pause(self, block: int) -> None:
        """Measure the others before a block of the study; after the last one, end it."""
        from tests.benchmarks.stock_tune import stock_tune

        assert self.measured_study is not None
        if block > BLOCKS:
            self.measured_study.coordinator.stop()
            return
        began = time.monotonic()
        _wait_for_sync(self.measured_study)
        self.bare.append(self._bare().run(self.every))
        if block:
            self.stock.append(stock_tune(self.root / "tune", self.slots, _STOCK_TRIALS))
        self.seconds.append(time.monotonic() - began)
        self.on_message(f"block {block} of {BLOCKS}")

    def _bare(self) -> BareOptuna:
        if self._optuna is None:
            assert self.measured_study is not None
            (arm,) = self.measured_study.spec.arms
            self._optuna = BareOptuna(
                self.databases.bare,
                arm.space,
                startup_trials=arm.search.startup_trials,
                reports=_REPORTS,
            )
        return self._optuna


def _idle() -> type[Any]:
    from tests.benchmarks.idle_trainable import IdleTrainable

    return IdleTrainable


def _wait_for_sync(built: MeasuredStudy) -> None:
    """Wait until MLflow has everything, so that the others have the machine to themselves."""
    end = time.monotonic() + _SYNC_TIMEOUT_S
    while left := built.sync.outbox.pending().records:
        if time.monotonic() > end:
            raise TrackingError(
                f"MLflow must take the records of a block within {_SYNC_TIMEOUT_S:g} s, but "
                f"{left} are left; see {built.folder.logs / 'sync.log'}."
            )
        time.sleep(0.1)


def _overhead(block_timer: BlockTimer, comparisons: _Comparisons, start_up_s: float) -> Overhead:
    # The first block is not counted: processes start, and modules are imported.
    study = tuple(seconds / comparisons.every for seconds in block_timer.seconds[1:])
    bare, stock = tuple(comparisons.bare[1:]), tuple(comparisons.stock)
    return Overhead(
        trials=comparisons.every * BLOCKS,
        slots=comparisons.slots,
        start_up_s=start_up_s,
        study=quartiles(study),
        bare_optuna=quartiles(bare),
        stock_tune=quartiles(stock),
        to_bare_optuna=paired_ratio(study, bare),
        to_stock_tune=paired_ratio(stock, study),
    )
