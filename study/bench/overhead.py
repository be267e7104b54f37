"""What a study costs per trial beside the trials, beside bare Optuna and stock Tune.

The study is a real one, on a Ray of its own, with its ledger in a database, result files,
checkpoints, outbox and delivery; its trials alone cost nothing. It stands still after every block
of trials, while as many are asked and told by Optuna alone, on a database of the same kind on the
same disk, and some are run by Tune as it comes, on the same Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from study.bench.arena import Arena, arena, bench_text
from study.bench.bare_optuna import BareOptuna
from study.bench.databases import Databases, Kind, databases
from study.bench.interludes import Interludes
from study.bench.largest_cluster import largest_cluster
from study.errors import TrackingError
from study.executors import run_on_ray
from trainables.benchmark import Spread, named, ratio, spread

BLOCKS: Final = 8
_REPORTS: Final = 4
_STOCK_TRIALS: Final = 2
_TRIAL_S: Final = (10, 60, 600)
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Seconds per trial, after the first start, and their ratios within each block.

    Attributes:
        trials: Trials of the study that were measured.
        slots: Trials at a time.
        start_up_s: From the call of the executor to the first report: Ray, one worker, torch.
        study: Of the study.
        bare_optuna: Of Optuna alone.
        stock_tune: Of Tune as it comes.
        to_bare_optuna: How many times as long the study takes as Optuna alone.
        to_stock_tune: How many times as long Tune takes as the study.
    """

    trials: int
    slots: int
    start_up_s: float
    study: Spread
    bare_optuna: Spread
    stock_tune: Spread
    to_bare_optuna: Spread
    to_stock_tune: Spread

    def as_data(self) -> dict[str, Any]:
        """Give the figures as plain data, medians by the names that are documented."""
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
            **named(spreads),
            "blocks": self.study.rounds,
            "largest_cluster": {str(s): n for s, n in self.largest_clusters()},
        }

    def largest_clusters(self) -> Iterator[tuple[int, int]]:
        """Give, for a trial's seconds, how many at a time one driver keeps busy to 95 %."""
        for trial_s in _TRIAL_S:
            yield trial_s, largest_cluster(float(trial_s), self.study.median)


def measure_overhead(
    root: Path,
    trials: int,
    slots: int,
    say: Callable[[str], None] = lambda _: None,
    kind: Kind = "sqlite",
) -> Overhead:
    """Run a study of trials that cost nothing, and the others in between.

    Args:
        root: An empty folder on the disk that is meant.
        trials: Trials that are measured, in eight blocks; a block before is not counted.
        slots: Trials at a time.
        say: Told what is going on.
        kind: Kind of the study's database, and of that of Optuna alone.

    Raises:
        ClusterError: If no Ray starts, or no PostgreSQL.
        StudyError: If the study cannot go on.
    """
    every = max(1, trials // BLOCKS)
    search = {"trials": every * (BLOCKS + 1) + 1}
    with databases(kind, root) as found:
        others = _Others(root=root, databases=found, every=every, slots=slots, say=say)
        interludes = Interludes(every=every, play=others.play)
        study = arena(
            root / "study", bench_text(search=search), [interludes], say, database=found.study
        )
        with study as built:
            others.arena = built
            began = time.monotonic()
            run_on_ray(built.conductor, built.surroundings(), _idle, cpus=slots)
            built.require_whole()
    assert interludes.first_report_s is not None
    start_up_s = interludes.first_report_s - began - others.seconds[0]
    return _overhead(interludes, others, start_up_s)


@dataclass(slots=True, kw_only=True)
class _Others:
    """What is measured while the study stands still; mutable as it goes on.

    Attributes:
        root: Where it writes.
        databases: The study's, and Optuna's.
        every: Trials of Optuna's per block.
        slots: Trials of Tune's at a time.
        say: Told what is going on.
        arena: The study, once it is there.
        bare: Seconds per trial of Optuna, by block.
        stock: Seconds per trial of Tune, by block.
        seconds: How long each interlude lasted.
    """

    root: Path
    databases: Databases
    every: int
    slots: int
    say: Callable[[str], None]
    arena: Arena | None = None
    bare: list[float] = field(default_factory=list)
    stock: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _optuna: BareOptuna | None = None

    def play(self, block: int) -> None:
        """Measure the others before a block of the study; after the last one, end it."""
        from study.bench.stock_tune import stock_tune

        assert self.arena is not None
        if block > BLOCKS:
            self.arena.conductor.stop()
            return
        began = time.monotonic()
        _await_delivery(self.arena)
        self.bare.append(self._bare().run(self.every))
        if block:
            self.stock.append(stock_tune(self.root / "tune", self.slots, _STOCK_TRIALS))
        self.seconds.append(time.monotonic() - began)
        self.say(f"block {block} of {BLOCKS}")

    def _bare(self) -> BareOptuna:
        if self._optuna is None:
            assert self.arena is not None
            (arm,) = self.arena.spec.arms
            self._optuna = BareOptuna(
                self.databases.bare,
                arm.space,
                startup_trials=arm.search.startup_trials,
                reports=_REPORTS,
            )
        return self._optuna


def _idle() -> type[Any]:
    from study.bench.idle_trial import IdleTrainable

    return IdleTrainable


def _await_delivery(built: Arena) -> None:
    """Wait until MLflow has everything, so that the others have the machine to themselves."""
    end = time.monotonic() + _PATIENCE_S
    while left := built.delivery.outbox.waiting().entries:
        if time.monotonic() > end:
            raise TrackingError(
                f"MLflow must take what a block of trials tells it within {_PATIENCE_S:g} s, but "
                f"{left} entries are left; see {built.folder.logs / 'delivery.log'}."
            )
        time.sleep(0.1)


def _overhead(interludes: Interludes, others: _Others, start_up_s: float) -> Overhead:
    # The first block is not counted: processes start, and modules are imported.
    study = tuple(seconds / others.every for seconds in interludes.seconds[1:])
    bare, stock = tuple(others.bare[1:]), tuple(others.stock)
    return Overhead(
        trials=others.every * BLOCKS,
        slots=others.slots,
        start_up_s=start_up_s,
        study=spread(study),
        bare_optuna=spread(bare),
        stock_tune=spread(stock),
        to_bare_optuna=ratio(study, bare),
        to_stock_tune=ratio(stock, study),
    )
