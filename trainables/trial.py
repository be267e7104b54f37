"""One trial from its configuration to its last report, resumed from its newest checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch

from trainables import checkpoint
from trainables.attribution_maps import save_attribution_maps
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.decoding import encode
from trainables.errors import CheckpointError, DeviceMemoryError, StoppedError, TimeLimitError
from trainables.fields import ReplicaMode
from trainables.loop import require_finite
from trainables.replica_mode import is_stacking_faster, stacking_obstacle
from trainables.replicas import Replica, start_replicas, train_replicas
from trainables.report import Report
from trainables.runtime.attempts import append_attempt
from trainables.runtime.resource_monitor import ResourceMonitor
from trainables.runtime.stop_monitor import StopMonitor
from trainables.runtime.time_limit import hang_location
from trainables.trained_models import save_weights

logger = logging.getLogger(__name__)

# A stop request waits for the end of a shorter epoch instead of rolling back to its beginning.
_LONG_EPOCH_S: Final = 1.0
# Largest share of an epoch that encoding its checkpoint in memory may take.
_CHECKPOINT_TIME_FRACTION: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """Folders, device and limits of a trial.

    Attributes:
        folder: Existing folder for checkpoints and attribution maps, on storage that every
            machine which may resume the trial can reach.
        data: Data root and cache.
        device: Device of the training.
        stop_file: File on the same storage whose existence requests a stop; None for no such
            file.
        timeout_s: Longest training time over all attempts; None for no limit.
        gpu_share: Fraction of a GPU that the trial may use, if ``device`` is one.
        replica_mode: Whether replicas are stacked into one computation.
        keep_weights: Whether a final trial writes its trained networks into its folder.
    """

    folder: Path
    data: DataFolders
    device: torch.device
    stop_file: Path | None = None
    timeout_s: float | None = None
    gpu_share: float = 1.0
    replica_mode: ReplicaMode = "auto"
    keep_weights: bool = False


def run_trial(config: TrialConfig, context: TrialContext) -> Iterator[Report]:
    """Train all replicas and yield a report at every evaluation, the last after the last epoch.

    If the folder holds a checkpoint, the reports up to it are yielded again and training resumes
    there; on the CPU the result is bit for bit that of an uninterrupted trial, repeated reports
    included. At most ``checkpoint_every_s`` of work is repeated; after a requested stop, less
    than an epoch.

    Raises:
        CheckpointError: If the checkpoint belongs to another configuration.
        DeviceMemoryError: If the trial exceeds its share of a GPU.
        NonFiniteError: If a loss or metric is NaN or infinite.
        StoppedError: If a stop was requested; a checkpoint is written.
        StorageError: If the folder cannot be written to.
        TimeLimitError: If the trial exceeds ``timeout_s``, or an earlier attempt hung.
    """
    attempt = _TrialRun(config=config, context=context)
    try:
        yield from attempt.run()
    except StoppedError:
        attempt.write_pending_checkpoint()
        raise
    except TimeLimitError as error:
        raise TimeLimitError(
            _time_limit_message(config, context, attempt.epoch, str(error))
        ) from None
    except torch.OutOfMemoryError as error:
        # Other trials on the GPU have shares of their own and are not affected.
        raise DeviceMemoryError(_out_of_memory_message(config, context, str(error))) from None


@dataclass(slots=True, kw_only=True)
class _TrialRun:
    """Mutable state of one attempt at a trial.

    Attributes:
        replicas: Empty until they are started.
        reports: Reports so far, those of earlier attempts included.
        pending_checkpoint: Epoch and encoded checkpoint of the last epoch's end, if a stop would
            roll back to it and it is not on disk.
        saved_at: Monotonic time of the last written checkpoint.
        encode_s: Seconds that the last checkpoint took to encode, without writing it.
    """

    config: TrialConfig
    context: TrialContext
    stop_monitor: StopMonitor = field(init=False)
    resource_monitor: ResourceMonitor = field(init=False)
    replicas: Sequence[Replica] = ()
    reports: list[Report] = field(default_factory=list)
    pending_checkpoint: tuple[int, bytes] | None = None
    saved_at: float = field(default_factory=time.monotonic)
    encode_s: float = 0.0

    def __post_init__(self) -> None:
        """Create the monitors."""
        context = self.context
        self.stop_monitor = StopMonitor(stop_file=context.stop_file, timeout_s=context.timeout_s)
        self.resource_monitor = ResourceMonitor(device=context.device, gpu_share=context.gpu_share)

    @property
    def epoch(self) -> int:
        """Epochs that all replicas have trained."""
        if not self.replicas:
            return checkpoint.latest_epoch(self.context.folder)
        return min(replica.state.epoch for replica in self.replicas)

    def run(self) -> Iterator[Report]:
        """Train from the newest checkpoint to the last epoch; clocks pause at each report."""
        self._resume_clocks()
        for report in self._reports():
            self.stop_monitor.pause()
            self.resource_monitor.pause()
            yield report
            self._resume_clocks()

    def _resume_clocks(self) -> None:
        self.stop_monitor.resume()
        self.resource_monitor.resume()

    def _on_step(self) -> None:
        self.stop_monitor.on_step()
        self.resource_monitor.sample()

    def _reports(self) -> Iterator[Report]:
        context = self.context
        hung = hang_location(context.folder)
        if hung is not None and context.timeout_s is not None:
            raise TimeLimitError(f"it hung {hung}")
        self.stop_monitor.on_step()
        self.replicas = start_replicas(self.config, context.data, context.device, self._on_step)
        self._restore()
        append_attempt(context.folder, self.epoch)
        yield from self.reports
        began = self.stop_monitor.trained_s
        stacked = self._is_stacked()
        for report in train_replicas(self.config, self.replicas, self._on_step, stacked=stacked):
            if report is not None:
                self.reports.append(replace(report, usage=self.resource_monitor.collect()))
            self._end_epoch(self.stop_monitor.trained_s - began)
            if report is not None:
                yield self.reports[-1]
            began = self.stop_monitor.trained_s

    def _is_stacked(self) -> bool:
        context, replicas = self.context, self.replicas
        reason = stacking_obstacle(self.config, replicas[0].state.model)
        if context.replica_mode == "vmap" and reason is not None:
            logger.info("the replicas train sequentially: %s", reason)
        if context.replica_mode != "auto" or reason is not None:
            return context.replica_mode == "vmap" and reason is None
        data, states = [r.data for r in replicas], [r.state for r in replicas]
        return is_stacking_faster(self.config, data, states, context.data.cache, self._on_step)

    def write_pending_checkpoint(self) -> None:
        """Write the checkpoint that a stop rolls back to, unless it is on disk."""
        if self.pending_checkpoint is not None:
            checkpoint.write(self.context.folder, *self.pending_checkpoint)

    def _end_epoch(self, took_s: float) -> None:
        training = self.config.training
        self.pending_checkpoint = None
        if self.epoch == training.epochs:
            if self.config.is_final:
                save_attribution_maps(self.config, self.replicas[0], self.context.folder)
                if self.context.keep_weights:
                    save_weights(self.config, self.replicas, self.context.folder)
            return
        is_stop_requested = self.stop_monitor.is_stop_requested
        is_due = time.monotonic() - self.saved_at >= training.checkpoint_every_s
        if self.epoch and is_due:
            checkpoint.write(self.context.folder, self.epoch, self._checkpoint())
            self.saved_at = time.monotonic()
        elif self.epoch and (is_stop_requested or self._is_rollback_useful(took_s)):
            self.pending_checkpoint = (self.epoch, self._checkpoint())
        # A checkpoint on disk, or training that has not begun, can be rolled back to as well.
        self.stop_monitor.can_roll_back = (
            is_due or self.pending_checkpoint is not None or not self.epoch
        )
        if is_stop_requested:
            raise StoppedError("a stop of the trial was requested.")

    def _is_rollback_useful(self, epoch_s: float) -> bool:
        if self.context.stop_file is None:
            return False
        return epoch_s >= max(_LONG_EPOCH_S, self.encode_s / _CHECKPOINT_TIME_FRACTION)

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
                "trained_s": self.stop_monitor.trained_s,
            }
        )
        self.encode_s = time.monotonic() - began
        return content

    def _restore(self) -> None:
        folder, expected = self.context.folder, self.config.hash()
        payload: dict[str, Any] | None = checkpoint.load_latest(folder)
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
        self.reports = [
            Report(epoch=epoch, metrics=metrics, usage=usage)
            for (epoch, metrics), usage in zip(payload["reports"], payload["usage"], strict=True)
        ]
        self.stop_monitor.previous_s += payload["trained_s"]


def _out_of_memory_message(config: TrialConfig, context: TrialContext, what: str) -> str:
    return (
        f"a trial must fit into its share of a GPU, resources.gpus = {context.gpu_share:g}, but "
        f"{what.splitlines()[0].strip()} Parameters: {encode(config.method)}; give it a larger "
        "share, or take smaller batches, fewer replicas or a narrower model."
    )


def _time_limit_message(config: TrialConfig, context: TrialContext, epoch: int, what: str) -> str:
    return (
        f"a trial must end within resources.timeout_s = {context.timeout_s:g} s of training, but "
        f"{what}, at epoch {epoch} of {config.training.epochs}; parameters: "
        f"{encode(config.method)}; raise the limit, or train for fewer epochs."
    )
