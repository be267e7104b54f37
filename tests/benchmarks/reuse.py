"""The savings of a study that reuses Base models, data, evaluations and trials.

The study of ``reuse.yaml`` is run, which counts how often each thing was reused. The cost of each
is measured separately: a trial of the study as it is, and the same trial without one of the
savings, in turn.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import torch

from study.engine.executors import run_inline
from study.records.trial_table import TrialRow
from tests.benchmarks import Quartiles, as_plain_data, quartiles, time_interleaved
from tests.benchmarks.measured_study import measured_study
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.trial import TrialContext, run_trial

_AS_IT_IS: Final = "as it is"
_BASE: Final = "base_models"
_LOADED: Final = "loaded_data"
_DECODED: Final = "decoded_data"
_EVALUATION: Final = "evaluations"
_TWINS: Final = "twins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    times: int
    each: Quartiles

    @property
    def seconds(self) -> float:
        return self.times * self.each.median


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    trials: int
    study_s: float
    savings: Mapping[str, Saving]

    @property
    def without_s(self) -> float:
        """CPU seconds that the search would have taken without any of it, at least.

        Data that is decoded is loaded too, and counts once; a trial that repeats another counts
        as one that has all the other savings.
        """
        counted = [saving for name, saving in self.savings.items() if name != _LOADED]
        return self.study_s + sum(saving.seconds for saving in counted)

    def as_data(self) -> dict[str, Any]:
        return {
            "trials": self.trials,
            "study_cpu_seconds": self.study_s,
            "without_cpu_seconds": self.without_s,
            "times": {name: saving.times for name, saving in self.savings.items()},
            "saved_cpu_seconds": {name: saving.seconds for name, saving in self.savings.items()},
            "each_cpu_seconds": as_plain_data({name: s.each for name, s in self.savings.items()}),
        }


def stated_study() -> str:
    return (files("tests.benchmarks") / "reuse.yaml").read_text(encoding="utf-8")


def measure_reuse(
    root: Path,
    rounds: int,
    on_message: Callable[[str], None] = lambda _: None,
    text: str | None = None,
) -> Reuse:
    """Run the study, and its first trial with and without each saving, on the same threads."""
    with measured_study(root / "study", text or stated_study(), (), on_message) as built:
        on_message(f"a study of {built.spec.arms[0].search_budget} trials")
        run_inline(built.coordinator, built.context())
        built.require_whole()
        rows = [row for row in built.table().rows if row.phase == "search"]
        config = built.coordinator.state.config(next(built.coordinator.state.records()))
    on_message(f"a trial of it in {rounds} rounds")
    times = time_interleaved(dict(reuse_variants(root / "trials", config)), rounds)
    return _reuse(rows, times)


def reuse_variants(root: Path, config: TrialConfig) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the measured trainings of a trial: a name, and a function that trains it once.

    The function returns CPU seconds. The first variant fills the folder for the others.

    Yields:
        Name, and what trains the trial once and gives its CPU seconds.
    """
    root.mkdir()
    kept = _ReuseVariants(root=root, config=config)
    training = replace(config.training, eval_every=1)
    yield _AS_IT_IS, kept.again
    yield _BASE, kept.without_base
    yield _LOADED, kept.loading
    yield _DECODED, kept.decoding
    yield _EVALUATION, _ReuseVariants(root=root, config=replace(config, training=training)).again


@dataclass(slots=True, kw_only=True)
class _ReuseVariants:
    """Trains a trial where some of what it needs is there; mutable as folders get used."""

    root: Path
    config: TrialConfig
    _used: int = 0

    @property
    def _cache(self) -> Path:
        return self.root / "cache"

    def again(self) -> float:
        """Train with all that is there after the first time."""
        return self._train(self._cache)

    def without_base(self) -> float:
        """Train with data that the process holds, but no Base model."""
        shutil.rmtree(self._cache / "base")
        return self._train(self._cache)

    def loading(self) -> float:
        """Train as a new process does: with decoded data and Base models on disk."""
        return self._train(self._alias(self._cache))

    def decoding(self) -> float:
        """Train as the first process does, but with Base models on disk."""
        fresh = self._new("fresh")
        fresh.mkdir()
        (fresh / "base").symlink_to(self._cache / "base")
        return self._train(fresh)

    def _alias(self, folder: Path) -> Path:
        # What a process holds is known by where it came from.
        alias = self._new("alias")
        alias.symlink_to(folder)
        return alias

    def _new(self, kind: str) -> Path:
        self._used += 1
        return self.root / f"{kind}-{id(self)}-{self._used}"

    def _train(self, cache: Path) -> float:
        folder = self._new("trial")
        folder.mkdir()
        context = TrialContext(
            folder=folder,
            data=DataFolders(root=None, cache=cache),
            device=torch.device("cpu"),
        )
        began = time.process_time()
        for _ in run_trial(self.config, context):
            pass
        return time.process_time() - began


def _reuse(rows: Sequence[TrialRow], times: Mapping[str, Sequence[float]]) -> Reuse:
    used = [sum(report.usage.get("cpu_s", 0.0) for report in row.reports) for row in rows]
    trained = sum(seconds > 0 for seconds in used)
    as_it_is = times[_AS_IT_IS]

    def more(way: str) -> Quartiles:
        return quartiles(tuple(a - b for a, b in zip(times[way], as_it_is, strict=True)))

    return Reuse(
        trials=len(rows),
        study_s=sum(used),
        savings={
            # The first trial did it.
            **{
                way: Saving(times=trained - 1, each=more(way))
                for way in (_BASE, _LOADED, _DECODED)
            },
            _EVALUATION: Saving(times=trained, each=more(_EVALUATION)),
            _TWINS: Saving(times=len(rows) - trained, each=quartiles(tuple(as_it_is))),
        },
    )
