"""A study of many trials that was never run: to measure what is slow where there is much."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import insert

from search_spaces.optuna_space import distribution
from study.bench.arena import bench_text
from study.conductor import Conductor
from study.files import write_whole
from study.handout import Assignment
from study.options import Options
from study.spec import Arm, StudySpec, parse
from study.store.database import open_database
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Ledger
from study.store.manifest import Manifest
from study.store.provenance import write_provenance
from trainables.report import Report

_FIRST_MS: Final = 1_700_000_000_000
_TRIAL_MS: Final = 10_000
_EPOCHS: Final = 4


def make_large_study(options: Options, trials: int) -> StudySpec:
    """Write a study that has ended: its search by force, its final trials by the conductor.

    Args:
        options: Where it is kept.
        trials: How many search trials it has.
    """
    text = bench_text(search={"trials": trials})
    spec = parse(text, "study/bench/study.yaml")
    folder = options.storage.study(spec.name)
    options.storage.prepare()
    write_whole(folder.spec, text)
    write_whole(folder.manifest, _manifest(spec).encode())
    write_provenance(folder.provenance, {})
    # Makes the tables and the study.
    ledger = Ledger(options.database_url, spec.name, maximise=True)
    (arm,) = spec.arms
    ledger.entries(arm.name, "search")
    _fill(open_database(options.database_url), f"{spec.name}/{arm.name}/search", arm, trials)
    for number in range(trials):
        key = TrialKey(arm=arm.name, phase="search", number=number)
        path = folder.make_trial(key)
        lines = (json.dumps(report) for report in _reports(number))
        (path / "reports.jsonl").write_text("".join(f"{line}\n" for line in lines))
        (path / "end.json").write_text(json.dumps(_end(number)))
    _finish(spec, folder, ledger)
    return spec


def _finish(spec: StudySpec, folder: StudyFolder, ledger: Ledger) -> None:
    conductor = Conductor(spec, folder, ledger, ())
    while isinstance(step := conductor.next(), Assignment):
        for epoch in range(1, _EPOCHS + 1):
            metrics = {
                f"{split}/accuracy": (_value(0, epoch),) * len(step.config.seeds)
                for split in ("val", "test")
            }
            conductor.report(step.key, Report(epoch=epoch, metrics=metrics))
        conductor.finish(step.key)
    conductor.settle()


def _manifest(spec: StudySpec) -> Manifest:
    return Manifest(
        name=spec.name,
        metric=spec.metric,
        direction=spec.direction,
        search={arm.name: arm.search_budget for arm in spec.arms},
        final={arm.name: spec.final_budget(arm) for arm in spec.arms},
    )


def _fill(storage: RDBStorage, name: str, arm: Arm, trials: int) -> None:
    """Enter all trials at once: one by one they would take longer than what is measured."""
    study_id, now = storage.get_study_id_from_name(name), datetime.now()
    begun: list[dict[str, Any]] = [
        {
            "trial_id": number + 1,
            "number": number,
            "study_id": study_id,
            "state": "COMPLETE",
            "datetime_start": now,
            "datetime_complete": now,
        }
        for number in range(trials)
    ]
    with storage.engine.begin() as connection:
        connection.execute(insert(models.TrialModel), begun)
        connection.execute(insert(models.TrialParamModel), list(_params(arm, trials)))
        connection.execute(insert(models.TrialValueModel), list(_values(trials)))
        connection.execute(insert(models.TrialIntermediateValueModel), list(_steps(trials)))
        connection.execute(insert(models.TrialUserAttributeModel), list(_notes(trials)))


def _params(arm: Arm, trials: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(0)
    axes = {name: distribution(axis) for name, axis in arm.space.dimensions.items()}
    texts = {name: distribution_to_json(within) for name, within in axes.items()}
    for number in range(trials):
        for name, within in axes.items():
            value: Any = draw.uniform(within.low, within.high)  # type: ignore[attr-defined]
            yield {
                "trial_id": number + 1,
                "param_name": name,
                "param_value": within.to_internal_repr(round(value) if name == "top_k" else value),
                "distribution_json": texts[name],
            }


def _values(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        value = _value(number, _EPOCHS)
        yield {"trial_id": number + 1, "objective": 0, "value": value, "value_type": "FINITE"}


def _steps(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        for epoch in range(1, _EPOCHS + 1):
            yield {
                "trial_id": number + 1,
                "step": epoch,
                "intermediate_value": _value(number, epoch),
                "intermediate_value_type": "FINITE",
            }


def _notes(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        began_ms = _FIRST_MS + number * _TRIAL_MS
        notes = {"started_ms": began_ms, "replicas": 1, "finished_ms": began_ms + _TRIAL_MS}
        for name, note in notes.items():
            yield {"trial_id": number + 1, "key": name, "value_json": json.dumps(note)}


def _reports(number: int) -> Iterator[dict[str, Any]]:
    for epoch in range(1, _EPOCHS + 1):
        value = [_value(number, epoch)]
        names = ("val/accuracy", "val/nll", "train/accuracy", "train/nll")
        time_ms = _FIRST_MS + number * _TRIAL_MS + epoch * 2_000
        used = {"trained_s": 2.0, "cpu_s": 2.0}
        yield {
            "epoch": epoch,
            "time_ms": time_ms,
            "metrics": dict.fromkeys(names, value),
            "usage": used,
        }


def _end(number: int) -> dict[str, Any]:
    ended_ms = _FIRST_MS + (number + 1) * _TRIAL_MS
    return {
        "state": "COMPLETE",
        "finished_ms": ended_ms,
        "value": _value(number, _EPOCHS),
        "reason": None,
    }


def _value(number: int, epoch: int) -> float:
    return 0.5 + (number * 7919 % 1000) / 4000 + 0.05 * epoch
