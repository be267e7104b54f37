"""Slot utilization of a growing cluster: sleeping trials, on nodes that are processes here.

A slot is idle while its trial's report waits for the driver, and while its next trial is
requested. Slots begin once every process has started: one after the other over the length of a
trial, as in the middle of a study, or all at the same moment, so that their reports come in
bursts. This measures the driver, its database and Ray, on a machine that runs the nodes as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from study.engine.executors import run_on_ray
from study.records.trial_table import StoredReport
from study.storage.layout import StudyFolder, TrialKey
from study.storage.trial_store import TrialRecord
from tests.benchmarks.measured_study import bench_text, measured_study
from trainables.config import TrialConfig

# CPUs of a node; a trial's slot is one.
NODE_CPUS: Final = 16
# A process of Ray's that imports Tune, and its share of its node; measured: 0.12 + 0.03 GiB.
_SLOT_BYTES: Final = 160 << 20
_SPARE_BYTES: Final = 3 << 30
_EPOCH_S: Final = 0.25
_REPORTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUtilization:
    """Utilization of the slots: ideal is the mean sleep of a slot, actual its mean duration."""

    slots: int
    trial_seconds: float
    trials: int
    ideal_seconds: float
    actual_seconds: float
    efficiency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingConfig:
    """Numbers of slots, seconds of a trial, trials per slot, and whether all begin at once."""

    slots: tuple[int, ...]
    trial_s: tuple[int, ...]
    rounds: int
    at_once: bool = False


def most_slots(available_bytes: int) -> int:
    """Return how many slots fit into a machine's memory.

    Example:
        >>> most_slots(20 << 30)
        108
    """
    return max(1, (available_bytes - _SPARE_BYTES) // _SLOT_BYTES)


def nodes_for(slots: int) -> tuple[int, ...]:
    """Return the CPUs of each node.

    Example:
        >>> nodes_for(40)
        (16, 16, 8)
    """
    full, rest = divmod(slots, NODE_CPUS)
    return (NODE_CPUS,) * full + ((rest,) if rest else ())


def measure_scaling(
    root: Path, scaling_config: ScalingConfig, address: str, on_message: Callable[[str], None]
) -> Iterator[SlotUtilization]:
    for slots in scaling_config.slots:
        for trial_s in scaling_config.trial_s:
            on_message(f"{slots} at a time, {trial_s} s each, {scaling_config.rounds} per slot")
            slot = root / f"{slots}-{trial_s}"
            gate = _Gate(
                slots=slots,
                trials=slots * scaling_config.rounds,
                spread_s=0.0 if scaling_config.at_once else float(trial_s),
            )
            _measure(slot, trial_s, gate, address)
            yield gate.usage(trial_s)


def _measure(root: Path, trial_s: int, gate: _Gate, address: str) -> None:
    epochs = round(trial_s / _EPOCH_S)
    text = bench_text(
        search={"trials": gate.trials},
        training={"epochs": epochs, "eval_every": max(1, epochs // _REPORTS)},
        resources={"max_concurrent": gate.slots},
    )
    with measured_study(root, text, [gate], lambda _: None) as built:
        gate.folder = built.folder
        gate.stop = built.coordinator.stop
        run_on_ray(built.coordinator, built.context(address), _sleeping)
        built.require_whole()


def _sleeping() -> type[Any]:
    from tests.benchmarks.sleeping_trainable import SleepingTrainable

    return SleepingTrainable


@dataclass(slots=True, kw_only=True)
class _SlotTimes:
    """A process that trains one trial after the other; mutable as they end."""

    began_s: float
    ended_s: float = 0.0
    n_ended: int = 0


@dataclass(slots=True, kw_only=True)
class _Gate:
    """A callback that lets the slots begin, and ends the study. Mutable."""

    slots: int
    trials: int
    spread_s: float
    folder: StudyFolder | None = None
    stop: Callable[[], None] = lambda: None
    _slot_times: dict[float, _SlotTimes] = field(default_factory=dict)
    _waiting: dict[int, float] = field(default_factory=dict)
    _slot_of: dict[int, float] = field(default_factory=dict)
    _n_ended: int = 0

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        """Do nothing."""

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        slot = self._slot_of[key.number] = report.usage["slot"]
        if not self._slot_times:
            self._waiting[key.number] = slot
            if len(self._waiting) == self.slots:
                self._open()

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        """Note the time, and end the study with its last search trial."""
        slot = self._slot_times[self._slot_of[record.key.number]]
        slot.ended_s = time.monotonic()
        slot.n_ended += 1
        self._n_ended += 1
        if self._n_ended == self.trials:
            self.stop()

    def usage(self, trial_s: float) -> SlotUtilization:
        slot_times = self._slot_times.values()
        ideal_s = trial_s * self._n_ended / len(slot_times)
        actual_s = sum(slot.ended_s - slot.began_s for slot in slot_times) / len(slot_times)
        return SlotUtilization(
            slots=self.slots,
            trial_seconds=trial_s,
            trials=self._n_ended,
            ideal_seconds=ideal_s,
            actual_seconds=actual_s,
            efficiency=ideal_s / actual_s,
        )

    def _open(self) -> None:
        from tests.benchmarks.sleeping_trainable import open_gate

        assert self.folder is not None
        delays_s = {
            number: self.spread_s * order / self.slots
            for order, number in enumerate(sorted(self._waiting))
        }
        open_gate(self.folder.stop, delays_s)
        now = time.monotonic()
        self._slot_times = {
            slot: _SlotTimes(began_s=now + delays_s[number])
            for number, slot in self._waiting.items()
        }
