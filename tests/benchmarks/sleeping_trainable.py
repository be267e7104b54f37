"""A trial that sleeps, in a process of 120 MB, and reports what a real one does.

It imports no torch and writes no checkpoint, so that a small machine can hold many of them; the
driver is not concerned.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ray import tune

from study.storage.atomic_write import write_atomic

EPOCH_S: Final = 0.25
_POLL_S: Final = 0.02


class SleepingTrainable(tune.Trainable):
    """Reports as :class:`trainables.ray_trainable.ChallengerTrainable` does.

    It reports epoch 0 at once. The first of a process then waits for the file of
    :func:`start_file`, so that all slots of a cluster are taken before any trial begins.
    """

    _results: Iterator[dict[str, Any]]
    _is_first = True

    def setup(self, config: dict[str, Any]) -> None:
        self._results = results(config, is_first=self._is_first)
        self._is_first = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return next(self._results)


def start_file(stop_file: Path) -> Path:
    return stop_file.with_name("go")


def open_gate(stop_file: Path, delays_s: Mapping[int, float]) -> None:
    """Let the first trials begin, each after its own delay."""
    content = {str(number): seconds for number, seconds in delays_s.items()}
    write_atomic(start_file(stop_file), json.dumps(content))


def results(config: dict[str, Any], *, is_first: bool) -> Iterator[dict[str, Any]]:
    """Yield epoch 0, and a result after every ``eval_every`` epochs of sleep.

    The first trial of a slot waits for the gate.
    """
    training = config["trial"]["training"]
    yield _result(config, 0, is_last=False)
    if is_first:
        time.sleep(_delay_s(config))
    every, epochs = training["eval_every"], training["epochs"]
    for epoch in range(every, epochs + 1, every):
        time.sleep(EPOCH_S * every)
        yield _result(config, epoch, is_last=epoch == epochs)


def _delay_s(config: dict[str, Any]) -> float:
    start, number = start_file(Path(config["stop_file"])), config["key"].rpartition("/")[2]
    while not start.exists():
        time.sleep(_POLL_S)
    delays: dict[str, float] = json.loads(start.read_text(encoding="utf-8"))
    return delays[number]


def _result(config: dict[str, Any], epoch: int, *, is_last: bool) -> dict[str, Any]:
    value = 0.9 - (config["trial"]["method"]["alpha"] - 0.6) ** 2 / 8
    metrics = {config["objective"]: [value] * len(config["trial"]["seeds"])} if epoch else {}
    return {
        "epoch": epoch,
        "metrics": json.dumps(metrics),
        "usage": json.dumps({"slot": float(os.getpid())}),
        "done": is_last,
        **({"objective": value} if epoch else {}),
    }
