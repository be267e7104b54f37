"""One trial from its configuration to its last report, continuing from its newest checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch

from trainables import checkpoint
from trainables.attempts import append_attempt
from trainables.attribution_maps import save_attribution_maps
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.decoding import encode
from trainables.errors import CheckpointError, DeviceMemoryError, StoppedError, TimeLimitError
from trainables.loop import require_finite
from trainables.replicas import Replica, start_replicas, train_replicas
from trainables.report import Report
from trainables.time_limit import where_it_hung
from trainables.together import Joining, is_faster_together, obstacle
from trainables.usage import Meter
from trainables.watch import Watch

logger = logging.getLogger(__name__)

# Where an epoch is shorter, a stop waits for its end instead of going back to its beginning.
_LONG_EPOCH_S: Final = 1.0
# What keeping a way back may cost of an epoch.
_COPYING_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlace:
    """Where a trial runs.

    Attributes:
        folder: Its own folder, for checkpoints and attribution maps; there already, on storage
            that every machine which may continue the trial can reach.
        data: Where data is read from.
        device: Where it computes.
        stop_file: Asks the trial to stop by being there, on the same storage; None if nobody may.
        timeout_s: How long the trial may train, over all its attempts; None for no limit.
        gpu_share: The share of a GPU that it was given, where it computes on one.
        joining: When its replicas are trained as one computation.
    """

    folder: Path
    data: DataFolders
    device: torch.device
    stop_file: Path | None = None
    timeout_s: float | None = None
    gpu_share: float = 1.0
    joining: Joining = "auto"


def run_trial(config: TrialConfig, place: TrialPlace) -> Iterator[Report]:
    """Train all replicas and report at every evaluation, the last time after the last epoch.

    If the folder holds a checkpoint, the reports up to it come first, again, and training goes
    on from there; on the CPU the result is bit for bit that of an uninterrupted trial, repeated
    reports included. At most ``checkpoint_every_s`` of work is repeated; after a stop that was
    asked for, no whole epoch is.

    Raises:
        CheckpointError: If the checkpoint belongs to another configuration.
        DeviceMemoryError: If it does not fit into its share of a GPU.
        NonFiniteError: If a loss or metric is NaN or infinite.
        StoppedError: If it was asked to stop; a checkpoint is written.
        StorageError: If its folder cannot be written to.
        TimeLimitError: If it trained longer than it may, or an earlier attempt hung.
    """
    attempt = _Attempt(config=config, place=place)
    try:
        yield from attempt.run()
    except StoppedError:
        attempt.save_kept()
        raise
    except TimeLimitError as error:
        raise TimeLimitError(_too_long(config, place, attempt.epoch, str(error))) from None
    except torch.OutOfMemoryError as error:
        # Its neighbours on the GPU have shares of their own, and notice nothing.
        raise DeviceMemoryError(_too_large(config, place, str(error))) from None


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One process's work on a trial; mutable as it gets on.

    Attributes:
        config: The trial.
        place: Where it runs.
        watch: Whether it is to stop.
        meter: What it uses.
        replicas: Its replicas, once they are started.
        reports: Reports so far, those of earlier attempts included.
        kept: Epoch and checkpoint of the last epoch's end, where it is not on disk and an epoch
            is worth going back for.
        saved_at: When a checkpoint was last written.
        copying_s: How long the last checkpoint took to make, without writing it.
    """

    config: TrialConfig
    place: TrialPlace
    watch: Watch = field(init=False)
    meter: Meter = field(init=False)
    replicas: Sequence[Replica] = ()
    reports: list[Report] = field(default_factory=list)
    kept: tuple[int, bytes] | None = None
    saved_at: float = field(default_factory=time.monotonic)
    copying_s: float = 0.0

    def __post_init__(self) -> None:
        """Look at the same place as the trial."""
        place = self.place
        self.watch = Watch(stop_file=place.stop_file, timeout_s=place.timeout_s)
        self.meter = Meter(device=place.device, gpu_share=place.gpu_share)

    @property
    def epoch(self) -> int:
        """Epochs that all replicas have trained."""
        if not self.replicas:
            return checkpoint.newest_epoch(self.place.folder)
        return min(replica.state.epoch for replica in self.replicas)

    def run(self) -> Iterator[Report]:
        """Train from the newest checkpoint to the last epoch; the clock stands at each report."""
        self._go_on()
        for report in self._reports():
            self.watch.pause()
            self.meter.pause()
            yield report
            self._go_on()

    def _go_on(self) -> None:
        self.watch.go_on()
        self.meter.go_on()

    def _at_step(self) -> None:
        self.watch.at_step()
        self.meter.look()

    def _reports(self) -> Iterator[Report]:
        place = self.place
        hung = where_it_hung(place.folder)
        if hung is not None and place.timeout_s is not None:
            raise TimeLimitError(f"it hung {hung}")
        self.watch.at_step()
        self.replicas = start_replicas(self.config, place.data, place.device, self._at_step)
        self._restore()
        append_attempt(place.folder, self.epoch)
        yield from self.reports
        began = self.watch.trained_s
        at_once = self._trains_at_once()
        for found in train_replicas(self.config, self.replicas, self._at_step, at_once=at_once):
            report = None if found is None else replace(found, usage=self.meter.take())
            if report is not None:
                self.reports.append(report)
            self._end_epoch(self.watch.trained_s - began)
            if report is not None:
                yield report
            began = self.watch.trained_s

    def _trains_at_once(self) -> bool:
        place, replicas = self.place, self.replicas
        reason = obstacle(self.config, replicas[0].state.model)
        if place.joining == "always" and reason is not None:
            logger.info("the replicas train by turns: %s", reason)
        if place.joining != "auto" or reason is not None:
            return place.joining == "always" and reason is None
        data, states = [r.data for r in replicas], [r.state for r in replicas]
        return is_faster_together(self.config, data, states, place.data.cache, self._at_step)

    def save_kept(self) -> None:
        """Write the checkpoint that a stop goes back to, unless it is on disk."""
        if self.kept is not None:
            checkpoint.write(self.place.folder, *self.kept)

    def _end_epoch(self, took_s: float) -> None:
        training = self.config.training
        self.kept = None
        if self.epoch == training.epochs:
            if self.config.is_final:
                save_attribution_maps(self.config, self.replicas[0], self.place.folder)
            return
        is_asked = self.watch.is_stop_asked
        is_due = time.monotonic() - self.saved_at >= training.checkpoint_every_s
        if self.epoch and is_due:
            checkpoint.write(self.place.folder, self.epoch, self._checkpoint())
            self.saved_at = time.monotonic()
        elif self.epoch and (is_asked or self._is_worth_keeping(took_s)):
            self.kept = (self.epoch, self._checkpoint())
        # Training that has not begun, or is on disk, can be gone back to as well.
        self.watch.can_go_back = is_due or self.kept is not None or not self.epoch
        if is_asked:
            raise StoppedError("the trial was asked to stop.")

    def _is_worth_keeping(self, epoch_s: float) -> bool:
        if self.place.stop_file is None:
            return False
        return epoch_s >= max(_LONG_EPOCH_S, self.copying_s / _COPYING_SHARE)

    def _checkpoint(self) -> bytes:
        for replica in self.replicas:
            require_finite(self.config, replica.state)
        began = time.monotonic()
        content = checkpoint.encode(
            {
                "config_hash": self.config.hash(),
                "replicas": [replica.state.state_dict() for replica in self.replicas],
                "reports": [(report.epoch, dict(report.metrics)) for report in self.reports],
                "usage": [dict(report.usage) for report in self.reports],
                "trained_s": self.watch.trained_s,
            }
        )
        self.copying_s = time.monotonic() - began
        return content

    def _restore(self) -> None:
        folder, expected = self.place.folder, self.config.hash()
        payload: dict[str, Any] | None = checkpoint.load_newest(folder)
        if payload is None:
            return
        if payload["config_hash"] != expected:
            raise CheckpointError(
                f"{folder} holds a checkpoint of configuration {payload['config_hash']}, but "
                f"this trial's is {expected}; it belongs to another study or version: move it "
                "away."
            )
        for replica, state in zip(self.replicas, payload["replicas"], strict=True):
            replica.state.load_state_dict(state)
        # Checkpoints of the first versions say neither what was used nor for how long.
        usages = payload.get("usage") or [{} for _ in payload["reports"]]
        self.reports = [
            Report(epoch=epoch, metrics=metrics, usage=usage)
            for (epoch, metrics), usage in zip(payload["reports"], usages, strict=True)
        ]
        self.watch.spent_s += payload.get("trained_s", 0.0)


def _too_large(config: TrialConfig, place: TrialPlace, what: str) -> str:
    return (
        f"a trial must fit into its share of a GPU, resources.gpus = {place.gpu_share:g}, but "
        f"{what.splitlines()[0].strip()} Parameters: {encode(config.method)}; give it a larger "
        "share, or take smaller batches, fewer replicas or a narrower model."
    )


def _too_long(config: TrialConfig, place: TrialPlace, epoch: int, what: str) -> str:
    return (
        f"a trial must end within resources.timeout_s = {place.timeout_s:g} s of training, but "
        f"{what}, at epoch {epoch} of {config.training.epochs}; parameters: "
        f"{encode(config.method)}; raise the limit, or train for fewer epochs."
    )
