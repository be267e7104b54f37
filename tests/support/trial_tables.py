"""Synthetic trial tables with realistic numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search_spaces import Dimension, FloatDimension, IntDimension
from study.records.trial_table import (
    ArmRow,
    ParamValue,
    PhaseName,
    StoredReport,
    TrialRow,
    TrialTable,
)

DATASET = "mnist (3 per class)"
MODEL = "vgg11, width 0.25"
BEST: dict[str, ParamValue] = {
    "top_k": 5,
    "n_features": 0.12,
    "alpha": 0.8,
    "beta": 1.1,
    "split": 0.5,
}
AXES: dict[str, Dimension] = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=0.3),
    "alpha": FloatDimension(low=0.1, high=2.0),
    "beta": FloatDimension(low=0.1, high=2.0),
    "split": FloatDimension(low=0.1, high=0.9),
}
LEVELS = {"base": 0.47, "random": 0.53, "challenger": 0.69}
COSINES = {"base": 0.19, "random": 0.17, "challenger": 0.11}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """Size of the synthetic study."""

    replicas: int = 5
    layers: int = 4
    sweep: tuple[int, ...] = tuple(range(1, 11))
    search_trials: int = 24
    epochs: int = 100


def make_trial_table(shape: TableShape | None = None, *, seed: int = 0) -> TrialTable:
    """Return a study of the arms base, random and challenger with a sweep over ``top_k``."""
    shape = shape or TableShape()
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.025, shape.replicas)
    arms = tuple(_arm(method, shape) for method in LEVELS)
    rows: list[TrialRow] = []
    for arm in arms:
        rows += _search(rng, arm, shape)
        rows += _finals(rng, arm, shape, effects)
    return TrialTable(
        study="tiny-mnist-top-k",
        objective="val/accuracy",
        direction="maximize",
        sampler="tpe",
        arms=arms,
        rows=tuple(rows),
        environment={"torch": "2.11.0", "hardware": "2 CPU cores", "commit": "0123abc"},
    )


def with_resource_usage(table: TrialTable, **usage: float) -> TrialTable:
    """Set the usage of every report: ``trained_s``, ``cpu_s``, …."""
    rows = tuple(
        replace(row, reports=tuple(replace(report, usage=usage) for report in row.reports))
        for row in table.rows
    )
    return replace(table, rows=rows)


def without_rows(table: TrialTable, *numbers: tuple[str, PhaseName, int]) -> TrialTable:
    """Drop trials, named by arm, phase and number."""
    rows = tuple(row for row in table.rows if (row.arm, row.phase, row.number) not in numbers)
    return replace(table, rows=rows)


def with_row(table: TrialTable, row: TrialRow) -> TrialTable:
    """Replace the trial of the same arm, phase and number."""
    key = (row.arm, row.phase, row.number)
    rows = tuple(row if (r.arm, r.phase, r.number) == key else r for r in table.rows)
    return replace(table, rows=rows)


def with_arm(table: TrialTable, arm: ArmRow) -> TrialTable:
    """Replace the arm of the same name."""
    return replace(table, arms=tuple(arm if a.name == arm.name else a for a in table.arms))


def constant_table(values: Mapping[str, Mapping[ParamValue, tuple[float, ...]]]) -> TrialTable:
    """Return a table of final trials from test accuracies: method, ``top_k`` value, replicas.

    Methods without dimensions have the one key 0; the first value of others is the chosen one.
    """
    arms, rows = [], []
    for method, by_value in values.items():
        has_dimensions = list(by_value) != [0]
        params = [{"top_k": value} if has_dimensions else {} for value in by_value]
        arms.append(
            ArmRow(
                name=method,
                dataset=DATASET,
                model=MODEL,
                method=method,
                n_classes=10,
                n_features=784,
                epochs=1,
                dimensions={"top_k": AXES["top_k"]} if has_dimensions else {},
                sweeps={"top_k": tuple(by_value)} if len(by_value) > 1 else {},
                best_params=params[0],
            )
        )
        rows += [
            final_row(method, number, point, {"test/accuracy": replicas})
            for number, (point, replicas) in enumerate(zip(params, by_value.values(), strict=True))
        ]
    table = make_trial_table(TableShape(replicas=2, layers=1, sweep=(), search_trials=0))
    return replace(table, arms=tuple(arms), rows=tuple(rows))


def final_row(
    arm: str,
    number: int,
    params: Mapping[str, ParamValue],
    metrics: Mapping[str, tuple[float, ...]],
) -> TrialRow:
    """Return a completed final trial with one report and seeds from 100."""
    n = len(next(iter(metrics.values())))
    return TrialRow(
        arm=arm,
        phase="final",
        number=number,
        state="COMPLETE",
        params=params,
        seeds=tuple(range(100, 100 + n)),
        reports=(StoredReport(epoch=1, time_ms=1, metrics=metrics),),
        value=0.5,
        reason=None,
        folder=f"{arm}/final-{number}",
        started_ms=0,
        finished_ms=1,
    )


def with_final_metrics(
    table: TrialTable, arm: str, metrics: Mapping[str, tuple[float, ...]]
) -> TrialTable:
    """Add metrics to the last report of an arm's chosen final trial."""
    row = table.chosen(arm)
    assert row is not None
    last = replace(row.reports[-1], metrics={**row.reports[-1].metrics, **metrics})
    return with_row(table, replace(row, reports=(*row.reports[:-1], last)))


def occluded(table: TrialTable, shares: tuple[float, ...] = (0.1, 0.3, 0.6)) -> TrialTable:
    """Add an occlusion test to every arm: accuracy falls with the share, faster by relevance."""
    for arm in table.arms:
        chosen = table.chosen(arm.name)
        assert chosen is not None
        whole = chosen.reports[-1].metrics["test/accuracy"]
        metrics = {"occlusion/none": whole} | {
            f"occlusion/{order}/{share}": tuple(
                value * (1 - steep * share) + 0.002 * i * share for i, value in enumerate(whole)
            )
            for order, steep in (("random", 0.7), ("most_relevant", 1.2))
            for share in shares
        }
        table = with_final_metrics(table, arm.name, metrics)
    return table


def write_maps(table: TrialTable, folder: Path, *, samples: int = 8, channels: int = 1) -> None:
    """Write ``attribution_maps.npz`` into the folder of every chosen final trial."""
    rng = np.random.default_rng(3)
    target = np.arange(samples) % 10
    inputs = np.stack([_gaussian_blob(rng, channels) for _ in range(samples)])
    for arm in table.arms:
        row = table.chosen(arm.name)
        if row is None:
            continue
        path = folder / row.folder
        path.mkdir(parents=True, exist_ok=True)
        hits = rng.random(samples) < LEVELS.get(arm.method, 0.5)
        noise = rng.normal(0, 1, inputs.shape)
        np.savez(
            path / "attribution_maps.npz",
            inputs=inputs,
            relevance=(inputs * noise).astype(np.float32),
            target=target,
            predicted=np.where(hits, target, (target + 3) % 10),
        )


def _arm(method: str, shape: TableShape) -> ArmRow:
    names = {"base": (), "random": tuple(BEST)[1:], "challenger": tuple(BEST)}[method]
    has_sweep = method == "challenger" and shape.sweep
    return ArmRow(
        name=method,
        dataset=DATASET,
        model=MODEL,
        method=method,
        n_classes=10,
        n_features=784,
        epochs=shape.epochs,
        dimensions={name: AXES[name] for name in names},
        sweeps={"top_k": shape.sweep} if has_sweep else {},
        best_params={name: BEST[name] for name in names},
    )


def _search(rng: np.random.Generator, arm: ArmRow, shape: TableShape) -> list[TrialRow]:
    if not arm.dimensions:
        return []
    return [_search_row(rng, arm, number) for number in range(shape.search_trials)]


def _search_row(rng: np.random.Generator, arm: ArmRow, number: int) -> TrialRow:
    state = "FAIL" if number == 7 else "PRUNED" if number % 4 == 3 else "COMPLETE"
    level = LEVELS[arm.method] - 0.15 * np.exp(-number / 6)
    accuracy = _tuple(rng.normal(level + rng.normal(0, 0.03), 0.03, 3))
    reports = (StoredReport(epoch=10, time_ms=number, metrics={"val/accuracy": accuracy}),)
    return TrialRow(
        arm=arm.name,
        phase="search",
        number=number,
        state=state,  # type: ignore[arg-type]
        params={name: BEST[name] for name in arm.dimensions},
        seeds=(0, 1, 2),
        reports=() if state == "FAIL" else reports,
        value=float(np.mean(accuracy)) if state == "COMPLETE" else None,
        reason="loss is not finite at epoch 4 for seed 1" if state == "FAIL" else None,
        folder=f"{arm.name}/search-{number}",
        started_ms=number * 1000,
        finished_ms=number * 1000 + 900,
    )


def _finals(
    rng: np.random.Generator, arm: ArmRow, shape: TableShape, effects: np.ndarray
) -> list[TrialRow]:
    best = dict(arm.best_params or {})
    values = sorted({*shape.sweep, BEST["top_k"]}) if arm.sweeps else [None]
    rows = []
    for number, value in enumerate(values):
        params = best if value is None else {**best, "top_k": value}
        shift = 0.0 if value is None else -0.004 * (float(value) - 5) ** 2 / 2
        accuracy = LEVELS[arm.method] + shift + effects + rng.normal(0, 0.015, len(effects))
        metrics = _final_metrics(rng, arm.method, accuracy, shape)
        rows.append(_final(arm, number, params, metrics, shape))
    return rows


def _final(
    arm: ArmRow,
    number: int,
    params: Mapping[str, ParamValue],
    metrics: tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]],
    shape: TableShape,
) -> TrialRow:
    initial, last = metrics
    row = final_row(arm.name, number, params, last)
    reports = (
        StoredReport(epoch=0, time_ms=0, metrics=initial),
        StoredReport(epoch=shape.epochs, time_ms=1, metrics=last),
    )
    return replace(row, reports=reports, value=float(np.mean(last["val/accuracy"])))


def _final_metrics(
    rng: np.random.Generator, method: str, accuracy: np.ndarray, shape: TableShape
) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]]:
    n = len(accuracy)
    initial: dict[str, tuple[float, ...]] = {}
    last = {"train/loss": _tuple(rng.gamma(2, 0.01, n))}
    for split in ("val", "test"):
        last |= _classification(f"{split}/", accuracy + rng.normal(0, 0.005, n))
    means: list[np.ndarray] = []
    for layer in range(1, shape.layers + 1):
        cosine = COSINES[method] / np.sqrt(layer) + rng.normal(0, 0.006, n)
        means.append(cosine)
        initial |= _cosines(f"conv{layer}", rng.normal(0, 0.006, n), 0.33 / layer)
        last |= _cosines(f"conv{layer}", cosine, 0.3 / layer)
    initial["filter_cosine/mean"] = _tuple(rng.normal(0, 0.003, n))
    last["filter_cosine/mean"] = _tuple(np.mean(means, axis=0))
    return initial, last


def _cosines(layer: str, cosine: np.ndarray, spread: float) -> dict[str, tuple[float, ...]]:
    return {
        f"filter_cosine/{layer}": _tuple(cosine),
        f"filter_cosine_pair_std/{layer}": _tuple(np.full(len(cosine), spread)),
        f"filter_cosine_relative/{layer}": _tuple(1 + 5 * np.abs(cosine)),
    }


def _classification(prefix: str, accuracy: np.ndarray) -> dict[str, tuple[float, ...]]:
    error = 1 - accuracy
    values = {
        "accuracy": accuracy,
        "auc": 1 - 0.35 * error,
        "nll": 9 * error,
        "brier": 1.8 * error,
        "brier_mean": 0.18 * error,
        "ece10": 0.85 * error,
        "ece15": 0.86 * error,
    }
    return {prefix + name: _tuple(value) for name, value in values.items()}


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _gaussian_blob(rng: np.random.Generator, channels: int) -> np.ndarray:
    y, x = np.mgrid[0:28, 0:28]
    cx, cy = rng.uniform(9, 19, 2)
    ring = np.hypot((x - cx) * 1.2, y - cy) - rng.uniform(4, 8)
    return np.repeat(np.exp(-(ring**2) / 3)[None], channels, axis=0).astype(np.float32)
