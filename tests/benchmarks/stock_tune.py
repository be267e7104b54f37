"""Ray Tune with a trainable that costs nothing, every setting at its default."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ray import tune

# What the study changes for itself (cluster/session.py), and is Tune's own here.
_STUDY_SETTINGS: Final = ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_GLOBAL_CHECKPOINT_S")


class NoOpTrainable(tune.Trainable):
    """A trainable that returns four results at once."""

    def setup(self, config: dict[str, Any]) -> None:  # noqa: ARG002 (Tune's)
        self._counter = itertools.count(1)

    def step(self) -> dict[str, Any]:
        count = next(self._counter)
        return {"value": 0.5, "done": count == 4}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:  # noqa: ARG002 (Tune's)
        return {"value": 0.5}


class _CompletionTimes(tune.Callback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, **_: object) -> None:  # type: ignore[override]
        self.times.append(time.monotonic())


def stock_tune(folder: Path, slots: int, trials: int) -> float:
    """Run trials on the connected Ray; returns the seconds per trial.

    A slot is a byte of memory, so that it runs while a paused study has all CPUs. The first
    trials, one per slot, are not counted: they wait for Tune to begin.
    """
    ends, name = _CompletionTimes(), f"stock-{time.time_ns()}"
    tuner = tune.Tuner(
        tune.with_resources(NoOpTrainable, tune.PlacementGroupFactory([{"memory": 1.0}])),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=slots + trials, max_concurrent_trials=slots),
        run_config=tune.RunConfig(
            name=name, storage_path=str(folder), verbose=0, callbacks=[ends]
        ),
    )
    with _tune_defaults():
        for error in tuner.fit().errors:
            raise error
    return (ends.times[-1] - ends.times[slots - 1]) / trials


@contextmanager
def _tune_defaults() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in _STUDY_SETTINGS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
