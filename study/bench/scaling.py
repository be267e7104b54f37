"""How well a cluster is used as it grows: trials that sleep, on nodes that are processes here.

A place is idle while its trial's report waits for the driver, and while its next trial is asked
for. All places begin at the same moment, once every process has started; what is measured is the
driver, its ledger and Ray, on a machine that bears all of them and the nodes too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from study.bench.arena import arena, bench_text
from study.executors import run_on_ray
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Entry
from study.trial_table import StoredReport
from trainables.config import TrialConfig

# CPUs of a node, of which one is a trial's place.
NODE_CPUS: Final = 16
# A process of Ray's that imports Tune, and its share of its node; measured: 0.12 + 0.03 GiB.
_PLACE_BYTES: Final = 160 << 20
_SPARE_BYTES: Final = 3 << 30
_EPOCH_S: Final = 0.25
_REPORTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How well places were used.

    Attributes:
        slots: Trials at a time.
        trial_s: How long a trial sleeps.
        trials: How many there were.
        ideal_s: How long they would have taken without any driver.
        actual_s: How long they took.
    """

    slots: int
    trial_s: float
    trials: int
    ideal_s: float
    actual_s: float

    @property
    def efficiency(self) -> float:
        """Share of the places' time in which trials slept."""
        return self.ideal_s / self.actual_s

    def as_data(self) -> dict[str, Any]:
        """Give the figures as plain data."""
        return {
            "slots": self.slots,
            "trial_seconds": self.trial_s,
            "trials": self.trials,
            "ideal_seconds": self.ideal_s,
            "actual_seconds": self.actual_s,
            "efficiency": self.efficiency,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be measured.

    Attributes:
        slots: Numbers of trials at a time.
        trial_s: Durations of a trial, in whole seconds.
        rounds: Trials per place.
    """

    slots: tuple[int, ...]
    trial_s: tuple[int, ...]
    rounds: int


def available_bytes() -> int:
    """Give the memory that processes could still have without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) << 10
    raise AssertionError("Linux says MemAvailable in /proc/meminfo")


def most_slots(available_bytes: int) -> int:
    """Say how many places this machine's memory bears.

    Example:
        >>> most_slots(20 << 30)
        108
    """
    return max(1, (available_bytes - _SPARE_BYTES) // _PLACE_BYTES)


def nodes_for(slots: int) -> tuple[int, ...]:
    """Give the CPUs of each node.

    Example:
        >>> nodes_for(40)
        (16, 16, 8)
    """
    full, rest = divmod(slots, NODE_CPUS)
    return (NODE_CPUS,) * full + ((rest,) if rest else ())


def measure_scaling(
    root: Path, wish: Wish, address: str, say: Callable[[str], None]
) -> Iterator[Usage]:
    """Run one study per number of places and duration, and say how well each used them.

    Args:
        root: An empty folder.
        wish: What is to be measured.
        address: A Ray that has as many CPUs as places are wished for at the most.
        say: Told what is going on.

    Raises:
        ClusterError: If no Ray answers.
        StudyError: If a study cannot go on.
    """
    for slots in wish.slots:
        for trial_s in wish.trial_s:
            say(f"{slots} at a time, {trial_s} s each, {wish.rounds} per place")
            place = root / f"{slots}-{trial_s}"
            yield _measure(place, slots, trial_s, wish.rounds, address)


def _measure(root: Path, slots: int, trial_s: int, rounds: int, address: str) -> Usage:
    epochs = round(trial_s / _EPOCH_S)
    trials = slots * rounds
    text = bench_text(
        search={"trials": trials},
        training={"epochs": epochs, "eval_every": max(1, epochs // _REPORTS)},
        resources={"max_concurrent": slots},
    )
    gate = _Gate(slots=slots, trials=trials)
    with arena(root, text, [gate], lambda _: None) as built:
        gate.folder = built.folder
        gate.stop = built.conductor.stop
        run_on_ray(built.conductor, built.surroundings(address), _sleeping)
        if built.conductor.stop_error is not None:
            raise built.conductor.stop_error
    return Usage(
        slots=slots,
        trial_s=trial_s,
        trials=trials,
        ideal_s=float(trial_s * rounds),
        actual_s=gate.ended_s - gate.opened_s,
    )


def _sleeping() -> type[Any]:
    from study.bench.sleeping_trial import SleepingTrainable

    return SleepingTrainable


@dataclass(slots=True, kw_only=True)
class _Gate:
    """A listener that lets all places begin together; mutable as trials report and end.

    Attributes:
        slots: Places.
        trials: Search trials, with the last of which the measurement ends.
        folder: The study's folder, once it is there.
        stop: Ends the study.
        opened_s: When all places were taken.
        ended_s: When the latest trial ended.
    """

    slots: int
    trials: int
    folder: StudyFolder | None = None
    stop: Callable[[], None] = lambda: None
    opened_s: float = 0.0
    ended_s: float = 0.0
    _ready: set[int] = field(default_factory=set)
    _n_ended: int = 0

    def began(self, entry: Entry, config: TrialConfig) -> None:
        """Take no notice."""

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """Open the gate once a trial in every place waits before it."""
        if report.epoch == 0 and not self.opened_s:
            self._ready.add(key.number)
            if len(self._ready) == self.slots:
                from study.bench.sleeping_trial import go_file

                assert self.folder is not None
                go_file(self.folder.stop).touch()
                self.opened_s = time.monotonic()

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Note the time, and end the study with its last search trial."""
        self._n_ended += 1
        self.ended_s = time.monotonic()
        if self._n_ended == self.trials:
            self.stop()
