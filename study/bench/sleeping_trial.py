"""A trial that sleeps, in a process of 120 MB: what it says is what a real one says.

It imports no torch and writes no checkpoint, so that a small machine can hold a large cluster of
them; nothing of that concerns the driver.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ray import tune

EPOCH_S: Final = 0.25
_LOOK_S: Final = 0.02


class SleepingTrainable(tune.Trainable):
    """Speaks as :class:`trainables.ray_trainable.ChallengerTrainable` does.

    It says epoch 0 at once and then waits until the file of :func:`go_file` is there, so that all
    places of a cluster are taken before any of their trials begins.
    """

    _results: Iterator[dict[str, Any]]

    def setup(self, config: dict[str, Any]) -> None:
        """Take a trial."""
        self._results = results(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Give the next report."""
        return next(self._results)


def go_file(stop_file: Path) -> Path:
    """Name the file that trials wait for, beside the one that asks them to stop."""
    return stop_file.with_name("go")


def results(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a trial's results: epoch 0, and one after every ``eval_every`` epochs of sleep."""
    training, go = config["trial"]["training"], go_file(Path(config["stop_file"]))
    yield _result(config, 0, is_last=False)
    while not go.exists():
        time.sleep(_LOOK_S)
    every, epochs = training["eval_every"], training["epochs"]
    for epoch in range(every, epochs + 1, every):
        time.sleep(EPOCH_S * every)
        yield _result(config, epoch, is_last=epoch == epochs)


def _result(config: dict[str, Any], epoch: int, *, is_last: bool) -> dict[str, Any]:
    value = 0.9 - (config["trial"]["method"]["alpha"] - 0.6) ** 2 / 8
    metrics = {config["objective"]: [value] * len(config["trial"]["seeds"])} if epoch else {}
    return {
        "epoch": epoch,
        "metrics": json.dumps(metrics),
        "usage": "{}",
        "done": is_last,
        **({"objective": value} if epoch else {}),
    }
