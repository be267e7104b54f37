"""The Tune trainable around :func:`trainables.trial.run_trial`; the only file that uses Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from ray import tune

from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.decoding import decode
from trainables.errors import StoppedError, StorageError, TrainableError
from trainables.plugins import load_plugins, saved_plugins
from trainables.report import Report, mean
from trainables.runtime.malloc import disable_malloc_trim
from trainables.runtime.time_limit import HangWatchdog, hang_location
from trainables.trial import TrialContext, run_trial


class ChallengerTrainable(tune.Trainable):
    """One trial with all its replicas; a Tune step is one report.

    Its ``config`` holds plain data: ``trial`` (an encoded :class:`TrialConfig`), ``folder``,
    ``data_root``, ``plugins`` (folder of the study's copies, or None), ``cache``, ``cpus``,
    ``gpus``, ``replica_mode``, ``keep_weights``, ``objective`` (a metric key), ``stop_file`` and
    ``timeout_s``. A result has ``epoch``, ``metrics`` (JSON: a list per key; Tune flattens
    mappings), ``usage`` (JSON) and ``objective`` (mean over the replicas, if the report has it). A
    trial that can have no result ends with the
    reason as ``failure`` and not with an error, since Ray would retry it: it would diverge again.
    A requested stop ends it with ``stopped`` and a folder that cannot be written with ``storage``;
    the study resumes both.

    Checkpoints are the trial's own (see :mod:`trainables.checkpoint`): an actor that restarts
    after a crash resumes from those in its folder.
    """

    _reports: Iterator[Report]
    _epochs: int
    _objective: str
    # A process has one timer, and one trial at a time.
    _watchdog: ClassVar[HangWatchdog] = HangWatchdog()

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare a trial."""
        disable_malloc_trim()
        # A scheduler may have stopped the previous trial of this process.
        self._watchdog.disarm()
        if config["plugins"]:
            load_plugins(saved_plugins(Path(config["plugins"])))
        trial = decode(TrialConfig, config["trial"])
        root = config["data_root"]
        context = TrialContext(
            folder=Path(config["folder"]),
            data=DataFolders(root=Path(root) if root else None, cache=Path(config["cache"])),
            device=_device(config["gpus"]),
            stop_file=Path(config["stop_file"]) if config["stop_file"] else None,
            timeout_s=config["timeout_s"],
            gpu_share=config["gpus"],
            replica_mode=config["replica_mode"],
            keep_weights=config["keep_weights"],
        )
        torch.set_num_threads(max(1, int(config["cpus"])))
        self._reports = self._train(trial, context)
        self._epochs = trial.training.epochs
        self._objective = config["objective"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next trial in the same process, so that torch is imported once."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next report as Tune's result."""
        self._watchdog.resume()
        try:
            report = next(self._reports)
        except TrainableError as error:
            self._watchdog.disarm()
            return {"epoch": -1, **_ending(error), "done": True}
        self._watchdog.pause()
        result: dict[str, Any] = {
            "epoch": report.epoch,
            "metrics": json.dumps(report.metrics),
            "usage": json.dumps(report.usage),
            "done": report.epoch == self._epochs,
        }
        if result["done"]:
            self._watchdog.disarm()
        if self._objective in report.metrics:
            result["objective"] = mean(report.metrics[self._objective])
        return result

    def _train(self, trial: TrialConfig, context: TrialContext) -> Iterator[Report]:
        if context.timeout_s is not None and hang_location(context.folder) is None:
            self._watchdog.arm(context.folder, context.timeout_s)
        yield from run_trial(trial, context)

    def cleanup(self) -> None:
        """Cancel the watchdog."""
        self._watchdog.disarm()


def _ending(error: TrainableError) -> dict[str, Any]:
    if isinstance(error, StoppedError):
        return {"stopped": True}
    kind = "storage" if isinstance(error, StorageError) else "failure"
    return {kind: str(error)}


def _device(gpus: float) -> torch.device:
    if not gpus:
        return torch.device("cpu")
    if gpus < 1:
        # Ray does not enforce fractions of a GPU; this limit does.
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")
